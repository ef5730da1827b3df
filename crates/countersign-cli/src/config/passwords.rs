//! `[passwords]`: what a password must be, how it is hashed, and how many at once.

use super::{
    reader::{Field, Table},
    settings::PasswordSettings,
};
use countersign_crypto::password::Argon2Parameters;
use countersign_methods::{
    api_key::config::ApiKeyConfig,
    basic::config::BasicConfig,
    password::{normal::Password, policy::PasswordPolicy},
};
use std::{num::NonZeroUsize, path::Path};

pub(super) fn read(root: &Table<'_, '_>, folder: &Path, keys: &ApiKeyConfig) -> Option<PasswordSettings> {
    // one word stands before all that is made here, and one realm is challenged with
    let of_keys =
        BasicConfig { word: keys.word.clone(), realm: keys.realm.clone(), ..BasicConfig::default() };
    let Some(section) = root.section("passwords") else {
        return Some(PasswordSettings { config: of_keys, threads: None, waiting: None, breached: None });
    };
    let policy = policy(&section);
    let argon2 = argon2(&section);
    let count = |key| section.get(key).map(|field| field.integer(1..=1024));
    let (threads, waiting) = (count("threads"), count("waiting"));
    let breached = section.get("breached").map(|field| file(&field, folder));
    let time = |key, usual| section.get(key).map_or(Some(usual), |field: Field<'_, '_>| field.duration());
    let default_lifetime = time("app_default_lifetime", of_keys.default_lifetime);
    let max_lifetime = time("app_max_lifetime", of_keys.max_lifetime);
    if let (Some(default), Some(max)) = (default_lifetime, max_lifetime)
        && default > max
    {
        section.problem_at("app_default_lifetime", "is longer than `app_max_lifetime`");
    }
    section.finish();
    let count = |read: Option<Option<u64>>| {
        super::routes::transpose(read).map(|n| n.and_then(|n| NonZeroUsize::new(usize::try_from(n).ok()?)))
    };
    Some(PasswordSettings {
        config: BasicConfig {
            argon2: argon2?,
            policy: policy?,
            default_lifetime: default_lifetime?,
            max_lifetime: max_lifetime?,
            ..of_keys
        },
        threads: count(threads)?,
        waiting: count(waiting)?,
        breached: super::routes::transpose(breached)?,
    })
}

fn policy(section: &Table<'_, '_>) -> Option<PasswordPolicy> {
    let usual = PasswordPolicy::default();
    let most = u64::try_from(Password::MAX).unwrap_or(u64::MAX);
    let least = section.get("min_length").map_or(Some(usual.least_alone), |field| {
        // NIST SP 800-63B-4 3.1.1.2: a password that stands alone needs as many
        usize::try_from(field.integer(15..=most)?).ok()
    });
    let refused = section.get("refused").map_or(Some(Vec::new()), |field| {
        field.list(|text| {
            let good = (3..=64).contains(&text.chars().count());
            good.then(|| text.to_owned()).ok_or_else(|| format!("`{text}` is not 3 to 64 characters"))
        })
    });
    Some(PasswordPolicy { least_alone: least?, refused: refused?, ..usual })
}

fn argon2(section: &Table<'_, '_>) -> Option<Argon2Parameters> {
    let usual = Argon2Parameters::default();
    let number = |key, usual: u32, range| {
        let read = section.get(key).map_or(Some(u64::from(usual)), |field| field.integer(range));
        read.and_then(|n| u32::try_from(n).ok())
    };
    let memory = number("memory_kib", usual.memory_kib(), 8192..=1_048_576);
    let passes = number("passes", usual.passes(), 1..=16);
    let lanes = number("lanes", usual.lanes(), 1..=8);
    match Argon2Parameters::new(memory?, passes?, lanes?) {
        Ok(parameters) => Some(parameters),
        Err(error) => {
            section.problem_at("memory_kib", format!("with `passes` and `lanes`: {error}"));
            None
        }
    }
}

/// Looked at here, so that a wrong path is named with its line.
fn file(field: &Field<'_, '_>, folder: &Path) -> Option<std::path::PathBuf> {
    field.parsed(|text| {
        let path = folder.join(text);
        if path.is_file() { Ok(path) } else { Err(format!("there is no file `{}`", path.display())) }
    })
}
