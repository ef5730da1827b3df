//! The algorithms that are believed (RFC 7518 3.1, RFC 8037, RFC 9864). `none` has no place in the type.

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    Es256,
    Ps256,
    Rs256,
    Ed25519,
    /// For an issuer whose secret was configured by hand, never for a key that was fetched.
    Hs256,
}

impl Algorithm {
    /// To the letter: `es256` is none of them. `EdDSA` is the older name of `Ed25519` (RFC 9864 2.2), since no other
    /// curve of it is here.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "ES256" => Self::Es256,
            "PS256" => Self::Ps256,
            "RS256" => Self::Rs256,
            "Ed25519" | "EdDSA" => Self::Ed25519,
            "HS256" => Self::Hs256,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Ps256 => "PS256",
            Self::Rs256 => "RS256",
            Self::Ed25519 => "Ed25519",
            Self::Hs256 => "HS256",
        }
    }

    /// The `kty` of its keys.
    pub(super) fn key_type(self) -> &'static str {
        match self {
            Self::Es256 => "EC",
            Self::Ps256 | Self::Rs256 => "RSA",
            Self::Ed25519 => "OKP",
            Self::Hs256 => "oct",
        }
    }
}
