//! Passwords and user names as people type them, made normal: RFC 8265. Two keyboards may send one letter as different
//! code points; what is hashed and compared is always the one form below. Nothing is trimmed or cut, and of a password
//! no case is folded.

use super::precis::{self, Class};
use countersign_crypto::SecretString;
use std::{fmt, sync::Arc};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// The rule that a password was made normal by, kept beside its hash: another rule would turn it into another password.
/// 1: RFC 8265 OpaqueString, NFC.
pub const NORMAL_VERSION: u16 = 1;

/// A password, normal: 1 to 256 code points, no controls, spaces of every kind as U+0020, NFC. Not yet judged whether
/// it is a good one.
#[derive(Clone)]
pub struct Password {
    text: SecretString,
    code_points: usize,
}

/// What is wrong with a password is said without saying what stands in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error("the password is empty")]
    Empty,
    #[error("the password is longer than {} characters", Password::MAX)]
    TooLong,
    #[error("the password holds a control character: leave out tabs and line breaks")]
    Control,
    #[error("the password holds a character that Unicode does not know")]
    Unassigned,
    #[error(
        "the password holds an invisible or outdated character, which another keyboard may not send again"
    )]
    Disallowed,
}

impl Password {
    /// In code points, once normal.
    pub const MAX: usize = 256;
    /// Before anything is done with it: the longest password at four bytes a code point, each of them typed as a letter
    /// and marks apart.
    pub const MAX_TYPED_BYTES: usize = 4096;

    pub fn parse(typed: &str) -> Result<Self, PasswordError> {
        if typed.is_empty() {
            return Err(PasswordError::Empty);
        }
        if typed.len() > Self::MAX_TYPED_BYTES {
            return Err(PasswordError::TooLong);
        }
        // NFC takes three times the bytes at most: no piece of it stays behind where the text grew out of.
        let mut text = String::with_capacity(typed.len() * 3);
        if typed.bytes().all(|b| matches!(b, b' '..=b'~')) {
            text.push_str(typed);
        } else {
            // RFC 8265 4.2.2: spaces, then NFC; neither width nor case is mapped
            text.extend(typed.chars().map(|c| if is_space(c) { ' ' } else { c }).nfc());
        }
        let text = SecretString::new(text);
        let code_points = text.expose().chars().count();
        if code_points > Self::MAX {
            return Err(PasswordError::TooLong);
        }
        freeform(text.expose())?;
        Ok(Self { text, code_points })
    }

    /// What is hashed: UTF-8.
    pub fn expose(&self) -> &str {
        self.text.expose()
    }

    pub fn code_points(&self) -> usize {
        self.code_points
    }
}

// not even how long it is
impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

/// RFC 8264 4.3, FreeformClass.
fn freeform(text: &str) -> Result<(), PasswordError> {
    if text.is_ascii() {
        return if text.bytes().any(|b| b.is_ascii_control()) { Err(PasswordError::Control) } else { Ok(()) };
    }
    let chars = Zeroizing::new(text.chars().collect::<Vec<_>>());
    for (at, c) in chars.iter().enumerate() {
        match precis::class(*c) {
            Class::Valid | Class::Free => {}
            Class::Context if precis::stands_well(&chars, at) => {}
            Class::Control => return Err(PasswordError::Control),
            Class::Unassigned => return Err(PasswordError::Unassigned),
            Class::Context | Class::Disallowed => return Err(PasswordError::Disallowed),
        }
    }
    Ok(())
}

/// For comparing with words, never for hashing: compatible forms and case are one.
pub(super) fn fold(text: &str) -> Zeroizing<String> {
    let mut folded = Zeroizing::new(String::with_capacity(text.len() * 3));
    folded.extend(text.nfkc().flat_map(char::to_lowercase));
    folded
}

// General category Zs, all of it
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

/// A user name, normal: two spellings of one name are one name. RFC 8265 UsernameCaseMapped, and no colon
/// (RFC 7617 2: it would end the name).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserName(Arc<str>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UserNameError {
    #[error("a user name is not empty")]
    Empty,
    #[error("a user name has at most {} characters", UserName::MAX)]
    TooLong,
    #[error("a user name holds no colon: Basic authentication ends it there")]
    Colon,
    #[error("a user name holds no space")]
    Space,
    #[error("a user name holds no control character")]
    Control,
    #[error("a user name holds letters, digits and the signs of ascii, not `U+{:04X}`", u32::from(*.0))]
    Disallowed(char),
    #[error("a user name mixes no directions of writing where that changes how it reads")]
    Direction,
    #[error("the user name has no settled spelling")]
    Unsettled,
}

impl UserName {
    /// In code points, once normal.
    pub const MAX: usize = 128;
    const MAX_TYPED_BYTES: usize = 2048;

    pub fn parse(typed: &str) -> Result<Self, UserNameError> {
        if typed.is_empty() {
            return Err(UserNameError::Empty);
        }
        if typed.len() > Self::MAX_TYPED_BYTES {
            return Err(UserNameError::TooLong);
        }
        let mut name = enforce(typed)?;
        // RFC 8264 7: the rules again, until they change nothing
        for _ in 0..3 {
            let again = enforce(&name)?;
            if again == name {
                return if name.chars().count() > Self::MAX {
                    Err(UserNameError::TooLong)
                } else {
                    Ok(Self(name.into()))
                };
            }
            name = again;
        }
        Err(UserNameError::Unsettled)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// RFC 8265 3.3: width, the identifier class, case, NFC, direction.
fn enforce(typed: &str) -> Result<String, UserNameError> {
    let wide = precis::map_width(typed);
    identifier(&wide)?;
    let name: String = wide.to_lowercase().nfc().collect();
    if name.is_empty() {
        return Err(UserNameError::Empty);
    }
    if !precis::bidi_rule(&name) {
        return Err(UserNameError::Direction);
    }
    Ok(name)
}

/// RFC 8264 4.2, IdentifierClass.
fn identifier(text: &str) -> Result<(), UserNameError> {
    let chars: Vec<char> = text.chars().collect();
    for (at, c) in chars.iter().enumerate() {
        if *c == ':' {
            return Err(UserNameError::Colon);
        }
        if is_space(*c) {
            return Err(UserNameError::Space);
        }
        match precis::class(*c) {
            Class::Valid => {}
            Class::Context if precis::stands_well(&chars, at) => {}
            Class::Control => return Err(UserNameError::Control),
            _ => return Err(UserNameError::Disallowed(*c)),
        }
    }
    Ok(())
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}
