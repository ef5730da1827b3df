//! `keyring.toml`: the numbered peppers under which keys are hashed (RULES 4.3). Beside the configuration, readable
//! by its owner only, and never in the store: a stolen store alone proves nothing.

use crate::{config::KeyringPlace, output::Failure, private_file};
use countersign_crypto::{
    Entropy, SecretString,
    token::digest::{Pepper, Peppers, TokenParts},
};
use serde::Deserialize;
use std::{fmt::Write, path::Path};

/// What the store says about the peppers that it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// Numbers that live rows name.
    pub named: Vec<u32>,
    /// Nobody was ever made here.
    pub empty: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    current: u32,
    peppers: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    number: u32,
    secret: String,
}

/// The keyring of this store. Made where there is none and the store is empty; a pepper that a live row names and the
/// keyring lacks stops the start.
pub fn open(place: &KeyringPlace, needs: &Needs, entropy: &dyn Entropy) -> Result<Peppers, Failure> {
    let KeyringPlace { path, given } = place;
    let shown = path.display();
    if needs.empty && needs.named.is_empty() && !given && !path.exists() {
        generate(path, entropy)?;
    }
    let read = if *given { private_file::read_given(path) } else { private_file::read(path) };
    let Some(text) = read?.map(SecretString::new) else {
        if *given {
            return Err(Failure::failed(format!("`{shown}`, the keyring, is missing")).todo(
                "put it there, or leave it out of the environment to have one made beside the configuration",
            ));
        }
        return Err(Failure::failed(format!("`{shown}` is missing, and the store is not empty"))
            .todo("its keys cannot be verified without it: put it back from where you keep a copy"));
    };
    let peppers = parse(text.expose()).map_err(|why| {
        Failure::failed(format!("`{shown}`: {why}")).todo("put it back from where you keep a copy")
    })?;
    let lacking: Vec<String> =
        needs.named.iter().filter(|n| !peppers.has(**n)).map(ToString::to_string).collect();
    if !lacking.is_empty() {
        return Err(Failure::failed(format!(
            "`{shown}` lacks pepper {}, which keys in the store need",
            lacking.join(", ")
        ))
        .todo("add the pepper again from where you keep a copy; is this the keyring of this store?"));
    }
    Ok(peppers)
}

/// What a store remembers of a pepper, so that another one under the same number is told apart from it: its digest of
/// fixed words. Says nothing about the pepper itself.
pub fn mark(peppers: &Peppers) -> String {
    hex_of(&peppers.digest(&words()))
}

/// Is the keyring's pepper of this number the one that the store remembers?
pub fn fits(peppers: &Peppers, number: u32, mark: &str) -> bool {
    let Some(mark) = hex(mark).and_then(|mark| <[u8; 32]>::try_from(mark).ok()) else { return false };
    peppers.verify(number, &mark, &words()).unwrap_or(false)
}

fn words() -> TokenParts<'static> {
    TokenParts { kind: "keyring", prefix: "", id: "", secret: b"which pepper is this" }
}

/// Number 1, in a new file; where another process was first, its file stays.
fn generate(path: &Path, entropy: &dyn Entropy) -> Result<(), Failure> {
    let mut secret = [0; 32];
    entropy.fill(&mut secret);
    let secret = hex_of(&secret);
    let text = SecretString::new(format!(
        "# The peppers under which keys are hashed. Keep a copy apart from the store: without them no key can be\n\
         # verified. To retire one, add another with the next number and make it current; keep the old one until no\n\
         # live key names it.\n\
         current = 1\n\n[[peppers]]\nnumber = 1\nsecret = \"{secret}\"\n"
    ));
    private_file::create(path, text.expose().as_bytes()).map(|_| ())
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn parse(text: &str) -> Result<Peppers, String> {
    // not the error's own display: it would quote the line, and the line is a secret
    let file: File = toml::from_str(text).map_err(|error| match error.span() {
        Some(span) => {
            let line = text.bytes().take(span.start).filter(|b| *b == b'\n').count() + 1;
            format!("line {line} cannot be read")
        }
        None => "cannot be read".to_owned(),
    })?;
    let mut current = None;
    let mut retired = Vec::new();
    for Entry { number, secret } in &file.peppers {
        let bytes = hex(secret).ok_or_else(|| format!("the secret of pepper {number} is not hexadecimal"))?;
        let pepper = Pepper::new(*number, &bytes).map_err(|e| e.to_string())?;
        if *number == file.current && current.is_none() {
            current = Some(pepper);
        } else {
            retired.push(pepper);
        }
    }
    let current = current.ok_or_else(|| format!("pepper {}, the current one, is not in it", file.current))?;
    Peppers::new(current, retired).map_err(|e| e.to_string())
}

fn hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests;
