//! The two opaque tokens of a session. Each names it, holds 256 random bits, and ends in a mark of ours: what somebody made up
//! is refused without asking the store, and what bears the mark was given out by us.
//!
//! ```text
//! cs_session_<id:12><secret:43><crc:6>.<mark:22>     the cookie
//! cs_refresh_<id:12><secret:43><crc:6>.<mark:22>     one link in a chain of refresh tokens
//! ```

use super::record::TokenDigest;
use countersign_core::CredentialId;
use countersign_crypto::{
    Entropy, SecretString,
    hash::sha256,
    token::{
        format::{TokenFormat, WordError},
        mark::MarkKeys,
    },
};
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    Cookie,
    Refresh,
}

impl TokenKind {
    pub const ALL: [TokenKind; 2] = [TokenKind::Cookie, TokenKind::Refresh];

    fn word(self) -> &'static str {
        match self {
            TokenKind::Cookie => "session",
            TokenKind::Refresh => "refresh",
        }
    }
}

#[derive(Debug, Clone)]
pub struct SessionTokens {
    cookie: TokenFormat,
    refresh: TokenFormat,
    marks: Arc<MarkKeys>,
}

/// One that bears our mark: it was given out for this session, sometime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownToken {
    pub id: CredentialId,
    pub digest: TokenDigest,
}

/// A new one, and what is kept of it.
#[derive(Debug)]
pub struct NewToken {
    pub token: SecretString,
    pub digest: TokenDigest,
}

impl SessionTokens {
    pub fn new(word: &str, marks: Arc<MarkKeys>) -> Result<Self, WordError> {
        let format = |kind: TokenKind| TokenFormat::long(word, kind.word());
        Ok(Self { cookie: format(TokenKind::Cookie)?, refresh: format(TokenKind::Refresh)?, marks })
    }

    fn format(&self, kind: TokenKind) -> &TokenFormat {
        match kind {
            TokenKind::Cookie => &self.cookie,
            TokenKind::Refresh => &self.refresh,
        }
    }

    /// Is it one of that kind by its beginning? Says nothing about the rest.
    pub fn is_prefix_of(&self, kind: TokenKind, bytes: &[u8]) -> bool {
        self.format(kind).is_prefix_of(bytes)
    }

    pub fn generate(&self, kind: TokenKind, id: &CredentialId, entropy: &dyn Entropy) -> NewToken {
        let plain = self.format(kind).generate_for(id.to_string(), entropy);
        let digest = digest_of(plain.token.expose().as_bytes());
        let token = SecretString::new(self.marks.marked(kind.word(), plain.token.expose()));
        NewToken { token, digest }
    }

    pub fn read(&self, kind: TokenKind, shown: &[u8]) -> Option<ShownToken> {
        let token = self.marks.token(kind.word(), shown)?;
        let parsed = self.format(kind).parse(token).ok()?;
        Some(ShownToken { id: CredentialId::new(parsed.id()), digest: digest_of(token) })
    }
}

fn digest_of(token: &[u8]) -> TokenDigest {
    TokenDigest(sha256(&[token]))
}
