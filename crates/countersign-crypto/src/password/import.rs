//! What another product stored, judged before it is taken over.

use super::{
    Argon2Parameters, HashError, PasswordHash, crypt,
    phc::LONGEST_HASH,
    scheme::{self, Over},
};
use crate::Entropy;
use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

/// What is wrong with it, for the operator; nothing of the text itself, which may be somebody's password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    #[error("there is no password hash")]
    Empty,
    #[error("a password hash of more than 512 bytes is none")]
    TooLong,
    #[error("a password hash has characters outside ASCII, as none has")]
    NotAscii,
    #[error(
        "it looks like a password in plain text: only hashes are taken over, such as `htpasswd -nB NAME` makes them"
    )]
    PlainText,
    #[error(
        "it looks like a hash of traditional DES crypt, which sees eight characters and is guessed in hours: let them \
         choose a new password"
    )]
    DesCrypt,
    #[error("md5crypt (`$1$`) is guessed in hours and is not taken over: let them choose a new password")]
    Md5Crypt,
    #[error(
        "the scheme is not known here: those known are argon2id, argon2i, bcrypt, scrypt, pbkdf2, pbkdf2-sha256, \
         pbkdf2-sha512, `$5$`, `$6$`, `$apr1$` and `{{SHA}}`"
    )]
    UnknownScheme,
    #[error(
        "argon2d is not taken over: its memory accesses follow the password, and no product stores passwords with it"
    )]
    Argon2d,
    #[error("an argon2 hash has to be of version 19")]
    Argon2Version,
    #[error(
        "of bcrypt only `$2a$`, `$2b$` and `$2y$` are taken over: the older ones misread passwords outside ASCII"
    )]
    BcryptVariant,
    #[error("the {scheme} hash is cut short or malformed")]
    Malformed { scheme: &'static str },
    #[error("the salt of the {scheme} hash is not 8 to 64 bytes long")]
    SaltLength { scheme: &'static str },
    #[error("the {scheme} hash itself is not 16 to 64 bytes long")]
    TagLength { scheme: &'static str },
    #[error("the {what} of the {scheme} hash is below {least}: guessing costs nearly nothing")]
    TooCheap { scheme: &'static str, what: &'static str, least: u32 },
    #[error(
        "the {what} of the {scheme} hash is above {most}: checking one password would take too long or too much"
    )]
    TooCostly { scheme: &'static str, what: &'static str, most: u32 },
    #[error("{0}")]
    Wrapping(#[from] HashError),
}

/// The password part of a line of htpasswd, or the hash of another product, without white space around it.
///
/// Most are kept as they are until the person logs in. `{SHA}` and `$apr1$` are wrapped in Argon2id first, with these
/// parameters, and so this takes as long as one hash (RULES 5.2). Argon2i is taken over: PHP and older passlib wrote it,
/// and its weakness is that it costs a guesser less, which the next login mends. Argon2d is not, see its error.
pub fn imported(
    text: &str,
    parameters: &Argon2Parameters,
    entropy: &dyn Entropy,
) -> Result<PasswordHash, ImportError> {
    if text.is_empty() {
        return Err(ImportError::Empty);
    }
    if text.len() > LONGEST_HASH {
        return Err(ImportError::TooLong);
    }
    if !text.is_ascii() {
        return Err(ImportError::NotAscii);
    }
    if let Some(digest) = text.strip_prefix("{SHA}") {
        return wrapped_sha1(digest, *parameters, entropy);
    }
    if let Some(rest) = text.strip_prefix("$apr1$") {
        return wrapped_apr1(rest, *parameters, entropy);
    }
    if text.starts_with('{') || text.starts_with('_') && text.len() == 20 {
        return Err(ImportError::UnknownScheme);
    }
    if !text.starts_with('$') {
        let des = text.len() == 13 && text.bytes().all(crypt::is_digit);
        return Err(if des { ImportError::DesCrypt } else { ImportError::PlainText });
    }
    let hash = PasswordHash::of(text, scheme::parse(text)?);
    match hash.argon2_parameters() {
        Some(theirs) if theirs != *parameters => reasonable(hash.scheme(), theirs)?,
        _ => {}
    }
    Ok(hash)
}

/// Our own parameters may be higher, for an operator chose them. These somebody else chose.
fn reasonable(scheme: &'static str, theirs: Argon2Parameters) -> Result<(), ImportError> {
    const MEMORY: u32 = 256 * 1024;
    const WORK: u32 = 2 * 1024 * 1024;
    let costly = |what, most| ImportError::TooCostly { scheme, what, most };
    if theirs.memory_kib() > MEMORY {
        return Err(costly("memory in KiB", MEMORY));
    }
    if theirs.memory_kib().saturating_mul(theirs.passes()) > WORK {
        return Err(costly("memory in KiB times passes", WORK));
    }
    Ok(())
}

fn wrapped_sha1(
    digest: &str,
    parameters: Argon2Parameters,
    entropy: &dyn Entropy,
) -> Result<PasswordHash, ImportError> {
    let digest = STANDARD.decode(digest).ok().map(Zeroizing::new).filter(|digest| digest.len() == 20);
    let digest = digest.ok_or(ImportError::Malformed { scheme: "{SHA}" })?;
    Ok(PasswordHash::made(Over::Sha1, &digest, parameters, entropy)?)
}

fn wrapped_apr1(
    rest: &str,
    parameters: Argon2Parameters,
    entropy: &dyn Entropy,
) -> Result<PasswordHash, ImportError> {
    let malformed = ImportError::Malformed { scheme: "apr1" };
    let (salt, digest) = rest.split_once('$').ok_or(malformed)?;
    let salt = scheme::crypt_salt(salt, 8).ok_or(malformed)?;
    let digest = Zeroizing::new(crypt::decode(digest, crypt::ORDER_APR1).ok_or(malformed)?);
    Ok(PasswordHash::made(Over::Apr1(salt.into()), &*digest, parameters, entropy)?)
}
