//! The grammar of each form, the bounds of what checking it may cost, and its computation.
//!
//! The bounds are such that what somebody else chose takes two or three seconds of one core at most. Only Argon2's reach
//! further here, as far as an operator may choose for themselves; what `import` takes over is bounded there.

use super::{Argon2Parameters, ImportError, crypt, memory, phc::LONGEST_HASH};
use crate::{constant_time, hash::legacy_sha1};
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::pbkdf2;
use base64::{
    Engine, alphabet,
    engine::{
        GeneralPurpose, GeneralPurposeConfig, general_purpose::NO_PAD, general_purpose::STANDARD_NO_PAD,
    },
};
use std::num::NonZeroU32;
use zeroize::Zeroizing;

/// One hash, taken apart.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) scheme: Scheme,
    pub(super) salt: Vec<u8>,
    pub(super) tag: Vec<u8>,
}

#[derive(Clone)]
pub(super) enum Scheme {
    Argon2 { algorithm: Algorithm, over: Over, parameters: Argon2Parameters },
    Bcrypt { cost: u32 },
    Scrypt(scrypt::Params),
    Pbkdf2 { hmac: Hmac, rounds: NonZeroU32 },
    ShaCrypt { digest: ShaCrypt, parameters: sha_crypt::Params },
}

/// What Argon2 was fed with.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Over {
    Password,
    Sha1,
    /// With the salt of the digest.
    Apr1(Box<str>),
}

#[derive(Clone, Copy)]
pub(super) enum Hmac {
    Sha1,
    Sha256,
    Sha512,
}

#[derive(Clone, Copy)]
pub(super) enum ShaCrypt {
    Sha256,
    Sha512,
}

impl Scheme {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Scheme::Argon2 { over: Over::Sha1, .. } => "argon2id(sha1)",
            Scheme::Argon2 { over: Over::Apr1(_), .. } => "argon2id(apr1)",
            Scheme::Argon2 { algorithm, over: Over::Password, .. } => algorithm.as_str(),
            Scheme::Bcrypt { .. } => "bcrypt",
            Scheme::Scrypt(_) => "scrypt",
            Scheme::Pbkdf2 { hmac: Hmac::Sha1, .. } => "pbkdf2-sha1",
            Scheme::Pbkdf2 { hmac: Hmac::Sha256, .. } => "pbkdf2-sha256",
            Scheme::Pbkdf2 { hmac: Hmac::Sha512, .. } => "pbkdf2-sha512",
            Scheme::ShaCrypt { digest: ShaCrypt::Sha256, .. } => "sha256-crypt",
            Scheme::ShaCrypt { digest: ShaCrypt::Sha512, .. } => "sha512-crypt",
        }
    }
}

// ------------------------------------------------------------------------------------------------ grammar

/// What stands in a store: every form but those that are only kept wrapped.
pub(super) fn parse(text: &str) -> Result<Stored, ImportError> {
    if text.len() > LONGEST_HASH {
        return Err(ImportError::TooLong);
    }
    let (name, rest) =
        text.strip_prefix('$').and_then(|text| text.split_once('$')).ok_or(ImportError::UnknownScheme)?;
    match name {
        "argon2id" => argon2(Algorithm::Argon2id, "argon2id", rest, Wrapped::No),
        "argon2id-sha1" => argon2(Algorithm::Argon2id, "argon2id(sha1)", rest, Wrapped::Sha1),
        "argon2id-apr1" => argon2(Algorithm::Argon2id, "argon2id(apr1)", rest, Wrapped::Apr1),
        "argon2i" => argon2(Algorithm::Argon2i, "argon2i", rest, Wrapped::No),
        "argon2d" => Err(ImportError::Argon2d),
        "2a" | "2b" | "2y" => bcrypt(rest),
        "2" | "2x" => Err(ImportError::BcryptVariant),
        "scrypt" => scrypt(rest),
        "pbkdf2" | "pbkdf2-sha1" => pbkdf2(Hmac::Sha1, "pbkdf2-sha1", rest),
        "pbkdf2-sha256" => pbkdf2(Hmac::Sha256, "pbkdf2-sha256", rest),
        "pbkdf2-sha512" => pbkdf2(Hmac::Sha512, "pbkdf2-sha512", rest),
        "5" => sha_crypt(ShaCrypt::Sha256, "sha256-crypt", rest),
        "6" => sha_crypt(ShaCrypt::Sha512, "sha512-crypt", rest),
        "1" => Err(ImportError::Md5Crypt),
        _ => Err(ImportError::UnknownScheme),
    }
}

enum Wrapped {
    No,
    Sha1,
    Apr1,
}

/// `v=19$m=19456,t=2,p=1$salt$tag`, its parameters in this order and no others.
fn argon2(
    algorithm: Algorithm,
    scheme: &'static str,
    rest: &str,
    wrapped: Wrapped,
) -> Result<Stored, ImportError> {
    let malformed = ImportError::Malformed { scheme };
    let (version, rest) = rest.split_once('$').ok_or(malformed)?;
    if version != "v=19" {
        // a hash without a version is of 2015's draft: 1.0
        return Err(if version.contains("v=") || version.contains("m=") {
            ImportError::Argon2Version
        } else {
            malformed
        });
    }
    let [costs, salt, tag] = members(rest).ok_or(malformed)?;
    let (costs, over) = match wrapped {
        Wrapped::No => (costs, Over::Password),
        Wrapped::Sha1 => (costs, Over::Sha1),
        Wrapped::Apr1 => {
            let (costs, salt) = costs.rsplit_once(",s=").ok_or(malformed)?;
            (costs, Over::Apr1(crypt_salt(salt, 8).ok_or(malformed)?.into()))
        }
    };
    let [memory, passes, lanes] = numbers(costs, ["m", "t", "p"]).ok_or(malformed)?;
    let memory = bounded(scheme, "memory in KiB", memory, 1024, 1_048_576)?;
    let passes = bounded(scheme, "number of passes", passes, 1, 16)?;
    let lanes = bounded(scheme, "number of lanes", lanes, 1, 16)?;
    let parameters = Argon2Parameters::stored(memory, passes, lanes).ok_or(malformed)?;
    let scheme_of = Scheme::Argon2 { algorithm, over, parameters };
    Ok(Stored { scheme: scheme_of, salt: salt_of(scheme, salt)?, tag: tag_of(scheme, tag)? })
}

/// Salts and tags end in bits that mean nothing, and not every product leaves them zero.
const BCRYPT: GeneralPurpose = GeneralPurpose::new(&alphabet::BCRYPT, TOLERANT);
const TOLERANT: GeneralPurposeConfig = NO_PAD.with_decode_allow_trailing_bits(true);

/// `05$`, 22 digits of salt, 31 of tag.
fn bcrypt(rest: &str) -> Result<Stored, ImportError> {
    let malformed = ImportError::Malformed { scheme: "bcrypt" };
    let (cost, rest) = rest.split_once('$').ok_or(malformed)?;
    if cost.len() != 2 || !cost.bytes().all(|byte| byte.is_ascii_digit()) || rest.len() != 53 {
        return Err(malformed);
    }
    let cost = cost.parse().map_err(|_| malformed)?;
    let cost = bounded("bcrypt", "cost", cost, 4, 15)?;
    let (salt, tag) = rest.split_at_checked(22).ok_or(malformed)?;
    let salt = BCRYPT.decode(salt).map_err(|_| malformed)?;
    let tag = BCRYPT.decode(tag).map_err(|_| malformed)?;
    if salt.len() != 16 || tag.len() != 23 {
        return Err(malformed);
    }
    Ok(Stored { scheme: Scheme::Bcrypt { cost }, salt, tag })
}

/// `ln=17,r=8,p=1$salt$tag`.
fn scrypt(rest: &str) -> Result<Stored, ImportError> {
    let malformed = ImportError::Malformed { scheme: "scrypt" };
    let [costs, salt, tag] = members(rest).ok_or(malformed)?;
    let [ln, r, p] = numbers(costs, ["ln", "r", "p"]).ok_or(malformed)?;
    let ln = bounded("scrypt", "cost `ln`", ln, 10, 20)?;
    let r = bounded("scrypt", "block size `r`", r, 1, 32)?;
    let p = bounded("scrypt", "parallelism `p`", p, 1, 16)?;
    // RFC 7914 2: N blocks of 128 r bytes
    let work = (1u64 << ln) * u64::from(r);
    bounded("scrypt", "memory in KiB", work / 8, 128, 262_144)?;
    bounded("scrypt", "work, N times `r` times `p`,", work * u64::from(p), 1, 1 << 22)?;
    let ln = u8::try_from(ln).map_err(|_| malformed)?;
    let parameters = scrypt::Params::new(ln, r, p).map_err(|_| malformed)?;
    let scheme = Scheme::Scrypt(parameters);
    Ok(Stored { scheme, salt: salt_of("scrypt", salt)?, tag: tag_of("scrypt", tag)? })
}

/// `29000$salt$tag`, as passlib writes it with `.` for `+`, or `i=29000,l=32$salt$tag`.
fn pbkdf2(hmac: Hmac, scheme: &'static str, rest: &str) -> Result<Stored, ImportError> {
    let malformed = ImportError::Malformed { scheme };
    let [costs, salt, tag] = members(rest).ok_or(malformed)?;
    let (rounds, length) = match numbers(costs, ["i", "l"]) {
        Some([rounds, length]) => (rounds, Some(length)),
        None => {
            let rounds = decimal(costs.strip_prefix("i=").unwrap_or(costs)).ok_or(malformed)?;
            (rounds, None)
        }
    };
    let rounds = bounded(scheme, "number of rounds", rounds, 1000, 2_000_000)?;
    let rounds = NonZeroU32::new(rounds).ok_or(malformed)?;
    let salt = salt_of(scheme, &salt.replace('.', "+"))?;
    let tag = tag_of(scheme, &tag.replace('.', "+"))?;
    if length.is_some_and(|length| u64::try_from(tag.len()) != Ok(length)) {
        return Err(malformed);
    }
    Ok(Stored { scheme: Scheme::Pbkdf2 { hmac, rounds }, salt, tag })
}

/// `rounds=10000$salt$tag` or `salt$tag`.
fn sha_crypt(digest: ShaCrypt, scheme: &'static str, rest: &str) -> Result<Stored, ImportError> {
    let malformed = ImportError::Malformed { scheme };
    let (rounds, rest) = match rest.strip_prefix("rounds=") {
        Some(rest) => {
            let (rounds, rest) = rest.split_once('$').ok_or(malformed)?;
            (decimal(rounds).ok_or(malformed)?, rest)
        }
        None => (u64::from(sha_crypt::Params::RECOMMENDED_ROUNDS), rest),
    };
    let rounds = bounded(scheme, "number of rounds", rounds, 1000, 1_000_000)?;
    let parameters = sha_crypt::Params::new(rounds).map_err(|_| malformed)?;
    let (salt, tag) = rest.split_once('$').ok_or(malformed)?;
    let salt = crypt_salt(salt, 16).ok_or(malformed)?.as_bytes().to_vec();
    let tag = match digest {
        ShaCrypt::Sha256 => crypt::decode(tag, crypt::ORDER_SHA256).map(|tag| tag.to_vec()),
        ShaCrypt::Sha512 => crypt::decode(tag, crypt::ORDER_SHA512).map(|tag| tag.to_vec()),
    };
    Ok(Stored { scheme: Scheme::ShaCrypt { digest, parameters }, salt, tag: tag.ok_or(malformed)? })
}

/// Of one to `most` digits.
pub(super) fn crypt_salt(text: &str, most: usize) -> Option<&str> {
    let good = (1..=most).contains(&text.len()) && text.bytes().all(crypt::is_digit);
    good.then_some(text)
}

/// Exactly so many between dollar signs.
fn members<const N: usize>(text: &str) -> Option<[&str; N]> {
    let mut parts = text.split('$');
    let mut members = [""; N];
    for member in &mut members {
        *member = parts.next()?;
    }
    parts.next().is_none().then_some(members)
}

/// `a=1,b=2`, exactly these names in this order.
fn numbers<const N: usize>(text: &str, names: [&str; N]) -> Option<[u64; N]> {
    let mut parts = text.split(',');
    let mut numbers = [0; N];
    for (number, name) in numbers.iter_mut().zip(names) {
        *number = decimal(parts.next()?.strip_prefix(name)?.strip_prefix('=')?)?;
    }
    parts.next().is_none().then_some(numbers)
}

/// Written in one way only; what is too big for the type is too big for every bound.
fn decimal(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (canonical && digits).then(|| text.parse().unwrap_or(u64::MAX))
}

fn bounded(
    scheme: &'static str,
    what: &'static str,
    value: u64,
    least: u32,
    most: u32,
) -> Result<u32, ImportError> {
    if value < u64::from(least) {
        return Err(ImportError::TooCheap { scheme, what, least });
    }
    let costly = ImportError::TooCostly { scheme, what, most };
    u32::try_from(value).ok().filter(|value| *value <= most).ok_or(costly)
}

fn salt_of(scheme: &'static str, text: &str) -> Result<Vec<u8>, ImportError> {
    let salt = STANDARD_NO_PAD.decode(text).map_err(|_| ImportError::Malformed { scheme })?;
    if (8..=64).contains(&salt.len()) { Ok(salt) } else { Err(ImportError::SaltLength { scheme }) }
}

fn tag_of(scheme: &'static str, text: &str) -> Result<Vec<u8>, ImportError> {
    let tag = STANDARD_NO_PAD.decode(text).map_err(|_| ImportError::Malformed { scheme })?;
    if (16..=64).contains(&tag.len()) { Ok(tag) } else { Err(ImportError::TagLength { scheme }) }
}

// ------------------------------------------------------------------------------------------------ computation

/// bcrypt looks at no more.
const BCRYPT_SEES: usize = 72;
/// libxcrypt hashes no more (CRYPT_MAX_PASSPHRASE_SIZE), and the work of SHA-crypt grows with rounds times length.
const SHA_CRYPT_SEES: usize = 512;

impl Stored {
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let mut tag = Zeroizing::new(vec![0; self.tag.len()]);
        let whole = self.derive(password, &mut tag);
        constant_time::equal(&tag, &self.tag) & whole
    }

    /// False where the tag does not speak of the whole password, after the same work: a quick no would tell that this
    /// person exists and has a hash of this kind.
    fn derive(&self, password: &[u8], tag: &mut [u8]) -> bool {
        match &self.scheme {
            Scheme::Argon2 { algorithm, over, parameters } => {
                over.fed(password, |input| fill(*algorithm, *parameters, input, &self.salt, tag))
            }
            Scheme::Bcrypt { cost } => derive_bcrypt(*cost, &self.salt, password, tag),
            Scheme::Scrypt(parameters) => scrypt::scrypt(password, &self.salt, parameters, tag).is_ok(),
            Scheme::Pbkdf2 { hmac, rounds } => {
                let algorithm = match hmac {
                    Hmac::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
                    Hmac::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
                    Hmac::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
                };
                pbkdf2::derive(algorithm, *rounds, &self.salt, password, tag);
                true
            }
            Scheme::ShaCrypt { digest, parameters } => {
                let seen = password.get(..SHA_CRYPT_SEES).unwrap_or(password);
                match digest {
                    ShaCrypt::Sha256 => {
                        copy(tag, &*Zeroizing::new(sha_crypt::sha256_crypt(seen, &self.salt, *parameters)));
                    }
                    ShaCrypt::Sha512 => {
                        copy(tag, &*Zeroizing::new(sha_crypt::sha512_crypt(seen, &self.salt, *parameters)));
                    }
                }
                seen.len() == password.len()
            }
        }
    }
}

/// The original cuts a password off behind 72 bytes and at a NUL. What is cut off would be a password that nobody needs
/// to know, so such a password is not the one that was hashed: no product could have hashed all of it.
fn derive_bcrypt(cost: u32, salt: &[u8], password: &[u8], tag: &mut [u8]) -> bool {
    let Ok(salt) = <[u8; 16]>::try_from(salt) else { return false };
    let mut key = Zeroizing::new([0; BCRYPT_SEES]);
    let seen = password.get(..BCRYPT_SEES).unwrap_or(password);
    copy(&mut *key, seen);
    // the NUL behind it counts, where there is room for one
    let used = key.get(..(seen.len() + 1).min(BCRYPT_SEES)).unwrap_or_default();
    copy(tag, &*Zeroizing::new(bcrypt::bcrypt(cost, salt, used)));
    seen.len() == password.len() && !password.contains(&0)
}

/// As much of it as there is room for.
fn copy(to: &mut [u8], from: &[u8]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
}

impl Over {
    fn fed<T>(&self, password: &[u8], work: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            Over::Password => work(password),
            Over::Sha1 => work(&*Zeroizing::new(legacy_sha1(password))),
            Over::Apr1(salt) => work(&*crypt::apr1(password, salt.as_bytes())),
        }
    }
}

/// False: there is no memory for it.
pub(super) fn fill(
    algorithm: Algorithm,
    parameters: Argon2Parameters,
    input: &[u8],
    salt: &[u8],
    tag: &mut [u8],
) -> bool {
    let (memory, passes, lanes) = (parameters.memory_kib(), parameters.passes(), parameters.lanes());
    let Ok(parameters) = Params::new(memory, passes, lanes, Some(tag.len())) else { return false };
    let blocks = parameters.block_count();
    let argon2 = Argon2::new(algorithm, Version::V0x13, parameters);
    memory::lend(blocks, |blocks| argon2.hash_password_into_with_memory(input, salt, tag, blocks).is_ok())
        .unwrap_or(false)
}
