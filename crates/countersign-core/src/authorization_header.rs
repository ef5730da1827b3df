//! `Authorization` (RFC 9110 11.4): scheme and credentials, nothing looked up, nothing decoded.

/// Longest field value that is looked at.
pub const MAX_LENGTH: usize = 8 * 1024;

/// One field value that keeps the grammar.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AuthorizationHeader<'a> {
    /// As written; compare with [`AuthorizationHeader::scheme_is`].
    pub scheme: &'a str,
    /// Never empty: visible ASCII and inner spaces.
    pub credentials: &'a [u8],
}

impl AuthorizationHeader<'_> {
    /// RFC 9110 11.1: schemes are case-insensitive.
    pub fn scheme_is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }
}

impl std::fmt::Debug for AuthorizationHeader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // without a space between them, a secret may have become the scheme
        f.write_str("AuthorizationHeader(..)")
    }
}

/// How the field breaks its grammar: 400 (RULES 2.1). Never repeats what was in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    TooLong,
    Character,
    NoScheme,
    NoCredentials,
}

impl Malformed {
    /// For the operator's log.
    pub fn reason(self) -> &'static str {
        match self {
            Malformed::TooLong => "authorization field is too long",
            Malformed::Character => "authorization field holds a byte that is not visible ascii",
            Malformed::NoScheme => "authorization field has no scheme",
            Malformed::NoCredentials => "authorization field has no scheme or no credentials",
        }
    }
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for Malformed {}

/// RFC 9110 11.4: `credentials = auth-scheme 1*SP ( token68 / #auth-param )`. What the grammar allows and no scheme of
/// ours uses is refused: a scheme alone, and quoted bytes beyond ASCII.
pub fn parse(value: &[u8]) -> Result<AuthorizationHeader<'_>, Malformed> {
    if value.len() > MAX_LENGTH {
        return Err(Malformed::TooLong);
    }
    let value = trim_ows(value);
    // every byte, without a branch: this stands in front of every bearer credential, good or not
    if !value.iter().fold(true, |all, b| all & matches!(b, b' '..=b'~')) {
        return Err(Malformed::Character);
    }
    let Some(at) = value.iter().position(|b| *b == b' ') else {
        return Err(if value.is_empty() { Malformed::NoScheme } else { Malformed::NoCredentials });
    };
    let (scheme, mut credentials) = value.split_at(at);
    let Ok(scheme) = std::str::from_utf8(scheme) else { return Err(Malformed::Character) };
    // RFC 9110 11.1: auth-scheme = token
    if scheme.is_empty() || !scheme.bytes().all(is_token) {
        return Err(Malformed::NoScheme);
    }
    // 1*SP between them; the end was trimmed, so something follows
    while let [b' ', rest @ ..] = credentials {
        credentials = rest;
    }
    Ok(AuthorizationHeader { scheme, credentials })
}

/// RFC 9110 5.6.3: OWS = *( SP / HTAB )
fn trim_ows(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// RFC 9110 5.6.2
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
