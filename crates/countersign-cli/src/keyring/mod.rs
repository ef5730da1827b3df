//! `keyring.toml`: the numbered peppers under which keys are hashed (RULES 4.3), the key that signs the head of the audit
//! trail, and those under which what is kept is recognised, sealed, and given to browsers. Beside the configuration, readable by its owner only, and never in the store: a stolen store alone proves
//! nothing, and whoever can write to it cannot sign for what it says.

use crate::{
    config::KeyringPlace,
    output::{Exit, Failure},
    private_file,
};
use countersign_crypto::{
    Entropy, FingerprintKey, SecretString,
    key::{AttestKeys, SealKeys},
    token::{
        digest::{Pepper, Peppers, TokenParts},
        mark::MarkKeys,
    },
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

/// What a process needs of it.
#[derive(Debug)]
pub struct Keyring {
    pub peppers: Peppers,
    /// `None`: made by an older release, and none was added since.
    pub attest: Option<AttestKeys>,
    /// The newest; what was asked before is recognised by it. `None`: as above.
    pub fingerprint: Option<FingerprintKey>,
    /// Private keys are kept under them.
    pub seal: SealKeys,
    /// What browsers and clients are given bears a mark of theirs. `None`: as above.
    pub cookie: Option<MarkKeys>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    current: u32,
    peppers: Vec<Entry>,
    #[serde(default)]
    audit: Vec<Entry>,
    #[serde(default)]
    fingerprint: Vec<Entry>,
    #[serde(default)]
    seal: Vec<Entry>,
    #[serde(default)]
    cookie: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    number: u32,
    secret: String,
}

/// What a secret in it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Purpose {
    /// Keys are hashed under it
    Pepper,
    /// Signs the head of the audit trail
    Audit,
    /// What was asked before is recognised under it
    Fingerprint,
    /// Private keys are kept under it
    Seal,
    /// Cookies and refresh tokens are made under it
    Cookie,
}

impl Purpose {
    const ALL: [Purpose; 5] =
        [Purpose::Pepper, Purpose::Audit, Purpose::Fingerprint, Purpose::Seal, Purpose::Cookie];

    /// On the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Purpose::Pepper => "pepper",
            Purpose::Audit => "audit",
            Purpose::Fingerprint => "fingerprint",
            Purpose::Seal => "seal",
            Purpose::Cookie => "cookie",
        }
    }

    /// In the file.
    fn table(self) -> &'static str {
        match self {
            Purpose::Pepper => "peppers",
            other => other.as_str(),
        }
    }
}

/// One secret, without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    pub purpose: Purpose,
    pub number: u32,
    pub current: bool,
}

/// The keyring of this store. Made where there is none and the store is empty; a pepper that a live row names and the
/// keyring lacks stops the start.
pub fn open(place: &KeyringPlace, needs: &Needs, entropy: &dyn Entropy) -> Result<Keyring, Failure> {
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
    let keyring =
        read_file(text.expose()).and_then(|file| file.keyring()).map_err(|why| unreadable(path, &why))?;
    let lacking: Vec<String> =
        needs.named.iter().filter(|n| !keyring.peppers.has(**n)).map(ToString::to_string).collect();
    if !lacking.is_empty() {
        return Err(Failure::failed(format!(
            "`{shown}` lacks pepper {}, which keys in the store need",
            lacking.join(", ")
        ))
        .todo("add the pepper again from where you keep a copy; is this the keyring of this store?"));
    }
    Ok(keyring)
}

fn unreadable(path: &Path, why: &str) -> Failure {
    Failure::failed(format!("`{}`: {why}", path.display())).todo("put it back from where you keep a copy")
}

/// Of the file that is there, for whoever looks after it.
pub fn list(place: &KeyringPlace) -> Result<Vec<Listed>, Failure> {
    let file = stored(place)?;
    let mut listed = Vec::new();
    for purpose in Purpose::ALL {
        let entries = file.entries(purpose);
        // of everything but peppers the newest is
        let current = match purpose {
            Purpose::Pepper => Some(file.current),
            _ => entries.iter().map(|entry| entry.number).max(),
        };
        let one =
            |entry: &Entry| Listed { purpose, number: entry.number, current: Some(entry.number) == current };
        listed.extend(entries.iter().map(one));
    }
    Ok(listed)
}

/// Adds another secret under the next number. `now`: a pepper is the current one from the next start on; of every other
/// purpose the newest always is.
pub fn add(place: &KeyringPlace, purpose: Purpose, now: bool, entropy: &dyn Entropy) -> Result<u32, Failure> {
    let mut file = stored(place)?;
    let entries = file.entries_mut(purpose);
    let highest = entries.iter().map(|entry| entry.number).max().unwrap_or(0);
    let number = highest.checked_add(1).ok_or_else(|| Failure::failed("there is no number left"))?;
    entries.push(Entry { number, secret: fresh(entropy) });
    if now && purpose == Purpose::Pepper {
        file.current = number;
    }
    store(place, &file)?;
    Ok(number)
}

/// Makes a pepper that is there the current one.
pub fn make_current(place: &KeyringPlace, number: u32) -> Result<(), Failure> {
    let mut file = stored(place)?;
    if !file.peppers.iter().any(|entry| entry.number == number) {
        return Err(Failure::new(Exit::NotFound, format!("there is no pepper {number}"))
            .todo("`countersign keyring list` shows which there are"));
    }
    file.current = number;
    store(place, &file)
}

fn stored(place: &KeyringPlace) -> Result<File, Failure> {
    let KeyringPlace { path, given } = place;
    let read = if *given { private_file::read_given(path) } else { private_file::read(path) };
    let text = read?.map(SecretString::new).ok_or_else(|| {
        Failure::new(Exit::NotFound, format!("there is no `{}`", path.display()))
            .todo("`countersign serve` makes one for an empty store")
    })?;
    let file = read_file(text.expose()).map_err(|why| unreadable(path, &why))?;
    // what could not be read again is not written over either
    file.keyring().map_err(|why| unreadable(path, &why))?;
    Ok(file)
}

/// In one piece, or not at all.
fn store(place: &KeyringPlace, file: &File) -> Result<(), Failure> {
    if place.given {
        return Err(Failure::failed(format!("`{}` is kept by somebody else, and not written here", place.path.display()))
            .todo("change it where it is kept; a copy of it elsewhere can be changed with `COUNTERSIGN_KEYRING_FILE` left out"));
    }
    private_file::write(&place.path, file.text().expose().as_bytes())
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

/// Number 1 of each, in a new file; where another process was first, its file stays.
fn generate(path: &Path, entropy: &dyn Entropy) -> Result<(), Failure> {
    let first = || vec![Entry { number: 1, secret: fresh(entropy) }];
    let file = File {
        current: 1,
        peppers: first(),
        audit: first(),
        fingerprint: first(),
        seal: first(),
        cookie: first(),
    };
    private_file::create(path, file.text().expose().as_bytes()).map(|_| ())
}

fn fresh(entropy: &dyn Entropy) -> String {
    let mut secret = [0; 32];
    entropy.fill(&mut secret);
    hex_of(&secret)
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn read_file(text: &str) -> Result<File, String> {
    // not the error's own display: it would quote the line, and the line is a secret
    toml::from_str(text).map_err(|error| match error.span() {
        Some(span) => {
            let line = text.bytes().take(span.start).filter(|b| *b == b'\n').count() + 1;
            format!("line {line} cannot be read")
        }
        None => "cannot be read".to_owned(),
    })
}

impl File {
    fn entries(&self, purpose: Purpose) -> &[Entry] {
        match purpose {
            Purpose::Pepper => &self.peppers,
            Purpose::Audit => &self.audit,
            Purpose::Fingerprint => &self.fingerprint,
            Purpose::Seal => &self.seal,
            Purpose::Cookie => &self.cookie,
        }
    }

    fn entries_mut(&mut self, purpose: Purpose) -> &mut Vec<Entry> {
        match purpose {
            Purpose::Pepper => &mut self.peppers,
            Purpose::Audit => &mut self.audit,
            Purpose::Fingerprint => &mut self.fingerprint,
            Purpose::Seal => &mut self.seal,
            Purpose::Cookie => &mut self.cookie,
        }
    }

    /// All of them, each judged.
    fn secrets(&self, purpose: Purpose) -> Result<Vec<(u32, [u8; 32])>, String> {
        let mut secrets: Vec<(u32, [u8; 32])> = Vec::new();
        for Entry { number, secret } in self.entries(purpose) {
            let bytes = hex(secret).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
            let what = purpose.as_str();
            let bytes =
                bytes.ok_or_else(|| format!("the secret of {what} {number} is not 64 hexadecimal digits"))?;
            if secrets.iter().any(|(known, _)| known == number) {
                return Err(format!("{what} {number} stands twice"));
            }
            secrets.push((*number, bytes));
        }
        Ok(secrets)
    }

    fn keyring(&self) -> Result<Keyring, String> {
        let mut current = None;
        let mut retired = Vec::new();
        for Entry { number, secret } in &self.peppers {
            let bytes =
                hex(secret).ok_or_else(|| format!("the secret of pepper {number} is not hexadecimal"))?;
            let pepper = Pepper::new(*number, &bytes).map_err(|e| e.to_string())?;
            if *number == self.current && current.is_none() {
                current = Some(pepper);
            } else {
                retired.push(pepper);
            }
        }
        let current =
            current.ok_or_else(|| format!("pepper {}, the current one, is not in it", self.current))?;
        let peppers = Peppers::new(current, retired).map_err(|e| e.to_string())?;
        let newest = self.secrets(Purpose::Fingerprint)?.into_iter().max_by_key(|(number, _)| *number);
        let fingerprint = newest.map(|(_, secret)| FingerprintKey::of_secret(secret));
        let seal = SealKeys::new(self.secrets(Purpose::Seal)?).ok_or("a seal stands twice")?;
        let cookie = MarkKeys::new(self.secrets(Purpose::Cookie)?);
        let mut seeds = Vec::new();
        for Entry { number, secret } in &self.audit {
            let seed =
                hex(secret).ok_or_else(|| format!("the secret of audit key {number} is not hexadecimal"))?;
            seeds.push((*number, seed));
        }
        if seeds.is_empty() {
            return Ok(Keyring { peppers, attest: None, fingerprint, seal, cookie });
        }
        let attest = AttestKeys::new(&seeds);
        let attest = attest.ok_or("an audit key is not of 32 bytes, or a number stands twice")?;
        Ok(Keyring { peppers, attest: Some(attest), fingerprint, seal, cookie })
    }

    fn text(&self) -> SecretString {
        let mut text = format!(
            "# The peppers under which keys are hashed, the keys that sign the head of the audit trail, and those under which what\n\
             # is kept is recognised (fingerprint), sealed (seal) and given to browsers (cookie). Keep a copy apart\n\
             # from the store: without the peppers no key can be verified. `countersign keyring rotate` adds another; keep the\n\
             # old ones until no live key names them (`countersign keyring list`).\n\
             current = {}\n",
            self.current
        );
        for purpose in Purpose::ALL {
            let table = purpose.table();
            for Entry { number, secret } in self.entries(purpose) {
                let _ = write!(text, "\n[[{table}]]\nnumber = {number}\nsecret = \"{secret}\"\n");
            }
        }
        SecretString::new(text)
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests;
