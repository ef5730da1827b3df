//! Keys that verify, from their JSON form (RFC 7517, RFC 7518 6, RFC 8037 2) or a configured secret. A key has one
//! algorithm from the moment it is one (RFC 8725 3.1).

use super::{
    Algorithm, LONGEST_KEY_ID, base64url, base64url_of, json, json::JsonError, thumbprint::thumbprint,
};
use crate::{constant_time, hash::hmac_sha256, secret::SecretBytes};
use aws_lc_rs::{
    rsa::PublicKeyComponents,
    signature::{
        ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
        RSA_PSS_2048_8192_SHA256,
    },
};
use serde_json::{Map, Value};
use std::fmt;

/// In bytes: 8,192 bits of modulus are 1,366 characters.
const LONGEST_JWK: usize = 16 * 1024;
/// In bytes (RFC 7518 3.2: as long as the hash).
const SHORTEST_SECRET: usize = 32;
/// RFC 7517 4.3 knows eight.
const MOST_OPERATIONS: usize = 32;

/// What was understood of a JWK.
#[derive(Debug)]
pub struct Jwk {
    pub kid: Option<String>,
    pub key: VerifyingKey,
}

pub struct VerifyingKey {
    algorithm: Algorithm,
    public: Option<Public>,
    material: Material,
}

/// What others may see of a key: the members that its thumbprint is of, in the order of their names.
struct Public {
    members: Vec<(&'static str, String)>,
    thumbprint: String,
}

enum Material {
    Public(Box<ParsedPublicKey>),
    Secret(SecretBytes),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    #[error("a key is not a JWK: {0}")]
    Json(#[from] JsonError),
    #[error("a key is longer than 16384 bytes")]
    TooLong,
    #[error("`{0}` is missing from a key, or is not what RFC 7517 says")]
    Member(&'static str),
    #[error("a key is not for verifying signatures, by its `use` or `key_ops`")]
    Purpose,
    #[error("a private key stands where public keys are read; whoever published it makes a new one")]
    Private,
    // RFC 8725 3.1, and what became of verifying with a public key as if it were a secret
    #[error("a symmetric key stands where public keys are read")]
    Symmetric,
    #[error("no algorithm that is allowed fits a key")]
    Algorithm,
    #[error("a key names no `alg` and more than one that is allowed fits it: allow one of them")]
    Ambiguous,
    #[error(
        "the numbers of a key are no key: a point off the curve P-256 or of small order, a modulus that is even, below 2048 or above 8192 bits, an exponent that is even, below 65537 or above 33 bits"
    )]
    Material,
    #[error("a secret is shorter than 32 bytes")]
    ShortSecret,
}

impl Jwk {
    /// One key, by itself.
    pub fn parse(bytes: &[u8], allowed: &[Algorithm]) -> Result<Self, JwkError> {
        if bytes.len() > LONGEST_JWK {
            return Err(JwkError::TooLong);
        }
        Self::of(&json::object(bytes)?, allowed)
    }

    pub(super) fn of(members: &Map<String, Value>, allowed: &[Algorithm]) -> Result<Self, JwkError> {
        let key_type = text(members, "kty")?.ok_or(JwkError::Member("kty"))?;
        if key_type == "oct" {
            return Err(JwkError::Symmetric);
        }
        if ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|private| members.contains_key(*private))
        {
            return Err(JwkError::Private);
        }
        for_verifying(members)?;
        let algorithm = algorithm(members, key_type, allowed)?;
        let kid = text(members, "kid")?;
        if kid.is_some_and(|kid| kid.len() > LONGEST_KEY_ID) {
            return Err(JwkError::Member("kid"));
        }
        Ok(Self { kid: kid.map(str::to_owned), key: VerifyingKey::of(members, algorithm)? })
    }
}

impl VerifyingKey {
    /// For HS256 alone.
    pub fn secret(secret: SecretBytes) -> Result<Self, JwkError> {
        if secret.expose().len() < SHORTEST_SECRET {
            return Err(JwkError::ShortSecret);
        }
        Ok(Self { algorithm: Algorithm::Hs256, public: None, material: Material::Secret(secret) })
    }

    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// RFC 7638. None of a secret: it would be a hash to guess against (RFC 7638 7).
    pub fn thumbprint(&self) -> Option<&str> {
        self.public.as_ref().map(|public| &*public.thumbprint)
    }

    /// For a JWKS (RFC 7517 4): its thumbprint as `kid`, `use` and `alg` always. None of a secret.
    pub fn to_jwk(&self) -> Option<Map<String, Value>> {
        let public = self.public.as_ref()?;
        let more = [("kid", &*public.thumbprint), ("use", "sig"), ("alg", self.algorithm.name())];
        let members = public.members.iter().map(|(name, value)| (*name, &**value)).chain(more);
        Some(members.map(|(name, value)| (name.to_owned(), value.into())).collect())
    }

    /// ECDSA: r and s of 32 bytes each, never DER (RFC 7518 3.4). PSS: the salt is as long as the hash (3.5).
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Public(key) => key.verify_sig(message, signature).is_ok(),
            Material::Secret(secret) => {
                constant_time::equal(&hmac_sha256(secret.expose(), &[message]), signature)
            }
        }
    }

    fn of(members: &Map<String, Value>, algorithm: Algorithm) -> Result<Self, JwkError> {
        match algorithm {
            Algorithm::Es256 => Self::p256(&bytes(members, "x")?, &bytes(members, "y")?),
            Algorithm::Ed25519 => Self::ed25519(&bytes(members, "x")?),
            Algorithm::Rs256 | Algorithm::Ps256 => {
                Self::rsa(&bytes(members, "n")?, &bytes(members, "e")?, algorithm)
            }
            Algorithm::Hs256 => Err(JwkError::Symmetric),
        }
    }

    pub(crate) fn p256(x: &[u8], y: &[u8]) -> Result<Self, JwkError> {
        // RFC 7518 6.2.1.2: the full size of a coordinate, leading zeros and all
        if x.len() != 32 || y.len() != 32 {
            return Err(JwkError::Material);
        }
        let point = [&[0x04], x, y].concat();
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| JwkError::Material)?;
        let (x, y) = (base64url_of(x), base64url_of(y));
        Ok(Self::public(Algorithm::Es256, key, &[("crv", "P-256"), ("kty", "EC"), ("x", &x), ("y", &y)]))
    }

    pub(crate) fn ed25519(x: &[u8]) -> Result<Self, JwkError> {
        sound_point(x)?;
        let key = ParsedPublicKey::new(&ED25519, x).map_err(|_| JwkError::Material)?;
        Ok(Self::public(
            Algorithm::Ed25519,
            key,
            &[("crv", "Ed25519"), ("kty", "OKP"), ("x", &base64url_of(x))],
        ))
    }

    /// `algorithm` is one of the two of RSA.
    pub(crate) fn rsa(n: &[u8], e: &[u8], algorithm: Algorithm) -> Result<Self, JwkError> {
        exponent(e)?;
        // RFC 7518 2, Base64urlUInt: as few bytes as there need be, so that a key has one thumbprint
        let bits = n.len() * 8 - n.first().map_or(0, |first| first.leading_zeros() as usize);
        // RFC 7518 3.3; the library rounds up and would take 2041, and an even one
        if n.first() == Some(&0)
            || n.last().is_none_or(|last| last % 2 == 0)
            || !(2048..=8192).contains(&bits)
        {
            return Err(JwkError::Material);
        }
        let parameters = match algorithm {
            Algorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
            Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
            _ => return Err(JwkError::Algorithm),
        };
        let key =
            PublicKeyComponents { n, e }.to_parsed_public_key(parameters).map_err(|_| JwkError::Material)?;
        Ok(Self::public(algorithm, key, &[("e", &base64url_of(e)), ("kty", "RSA"), ("n", &base64url_of(n))]))
    }

    fn public(algorithm: Algorithm, key: ParsedPublicKey, named: &[(&'static str, &str)]) -> Self {
        let members = named.iter().map(|&(name, value)| (name, value.to_owned())).collect();
        let public = Public { members, thumbprint: thumbprint(named) };
        Self { algorithm, public: Some(public), material: Material::Public(Box::new(key)) }
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({}, {})", self.algorithm.name(), self.thumbprint().unwrap_or("secret"))
    }
}

/// Absent, or a string.
fn text<'m>(members: &'m Map<String, Value>, name: &'static str) -> Result<Option<&'m str>, JwkError> {
    members.get(name).map(|value| value.as_str().ok_or(JwkError::Member(name))).transpose()
}

fn bytes(members: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, JwkError> {
    text(members, name)?.and_then(base64url).ok_or(JwkError::Member(name))
}

/// RFC 7517 4.2, 4.3.
fn for_verifying(members: &Map<String, Value>) -> Result<(), JwkError> {
    if text(members, "use")?.is_some_and(|purpose| purpose != "sig") {
        return Err(JwkError::Purpose);
    }
    let Some(operations) = members.get("key_ops") else { return Ok(()) };
    let operations = operations.as_array().ok_or(JwkError::Member("key_ops"))?;
    // strings, and none of them twice
    let sound = operations.len() <= MOST_OPERATIONS
        && operations.iter().enumerate().all(|(at, operation)| {
            operation.is_string() && operations.iter().take(at).all(|before| before != operation)
        });
    if !sound {
        return Err(JwkError::Member("key_ops"));
    }
    if operations.iter().any(|operation| operation == "verify") { Ok(()) } else { Err(JwkError::Purpose) }
}

/// The `alg` of the key where it has one, and otherwise the one that may be: never the token's.
fn algorithm(
    members: &Map<String, Value>,
    key_type: &str,
    allowed: &[Algorithm],
) -> Result<Algorithm, JwkError> {
    match (key_type, text(members, "crv")?) {
        ("EC", Some("P-256")) | ("OKP", Some("Ed25519")) | ("RSA", None) => {}
        _ => return Err(JwkError::Algorithm),
    }
    let fits = |algorithm: &Algorithm| algorithm.key_type() == key_type && allowed.contains(algorithm);
    if let Some(name) = text(members, "alg")? {
        return Algorithm::named(name).filter(fits).ok_or(JwkError::Algorithm);
    }
    let mut fitting =
        [Algorithm::Es256, Algorithm::Ps256, Algorithm::Rs256, Algorithm::Ed25519].into_iter().filter(fits);
    match (fitting.next(), fitting.next()) {
        (Some(algorithm), None) => Ok(algorithm),
        (Some(_), Some(_)) => Err(JwkError::Ambiguous),
        (None, _) => Err(JwkError::Algorithm),
    }
}

/// Odd, at least 65537 (NIST SP 800-56B 6.2), and at most 33 bits, as far as the library goes when it verifies.
fn exponent(e: &[u8]) -> Result<(), JwkError> {
    let plain = e.first().is_some_and(|&first| first != 0) && e.len() <= 5;
    let value = e.iter().fold(0u64, |value, &byte| value << 8 | u64::from(byte));
    if plain && value % 2 == 1 && (65_537..1 << 33).contains(&value) {
        Ok(())
    } else {
        Err(JwkError::Material)
    }
}

/// The y of every point whose order divides the cofactor of 8 (RFC 8032 5.1). Against such a key one signature can hold
/// for many messages, and the library does not ask.
const SMALL_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    small(1),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
    below_prime(0xec),
];

const fn small(y: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = y;
    bytes
}

/// 2^255 - 256 + `lowest`: the field's prime at 0xed.
const fn below_prime(lowest: u8) -> [u8; 32] {
    let mut bytes = [0xff; 32];
    bytes[0] = lowest;
    bytes[31] = 0x7f;
    bytes
}

/// RFC 8032 5.1.3: y is below the prime, so that a key has one form.
fn sound_point(x: &[u8]) -> Result<(), JwkError> {
    let mut y: [u8; 32] = x.try_into().map_err(|_| JwkError::Material)?;
    if let Some(top) = y.last_mut() {
        *top &= 0x7f;
    }
    let beyond = below_prime(0xed).iter().rev().le(y.iter().rev());
    if beyond || SMALL_ORDER.contains(&y) { Err(JwkError::Material) } else { Ok(()) }
}
