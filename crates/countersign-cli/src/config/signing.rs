//! `[signing]`: what is signed with what, and how long a key does.

use super::{
    reader::{Field, Table},
    values,
};
use countersign_crypto::jose::Algorithm;
use countersign_methods::signing::{
    issue::SigningConfig,
    record::{KeyPurpose, KeyTimes},
};
use std::time::Duration;

/// Above what anybody keeps a JWKS for, and above what anything signed lives.
const SHORTEST: Duration = Duration::from_secs(3600);

pub(super) fn read(root: &Table<'_, '_>) -> Option<SigningConfig> {
    let usual = SigningConfig::default();
    let Some(section) = root.section("signing") else { return Some(usual) };
    let algorithms = usual.algorithms.map(|(purpose, usual)| (purpose, algorithm(&section, purpose, usual)));
    let time = |key, usual| section.get(key).map_or(Some(usual), |field| at_least(&field));
    let active = time("rotate_every", usual.times.active);
    let published = time("publish_ahead", usual.times.published);
    let retired = time("retire_after", usual.times.retired);
    if let (Some(active), Some(published)) = (active, published)
        && published >= active
    {
        let (published, active) = (values::show_duration(published), values::show_duration(active));
        section.problem_at(
            "publish_ahead",
            format!("`{published}` is not shorter than `rotate_every`, `{active}`"),
        );
    }
    section.finish();
    let [(first, of_first), (second, of_second)] = algorithms;
    Some(SigningConfig {
        algorithms: [(first, of_first?), (second, of_second?)],
        times: KeyTimes { active: active?, published: published?, retired: retired? },
        longest: usual.longest,
    })
}

fn algorithm(section: &Table<'_, '_>, purpose: KeyPurpose, usual: Algorithm) -> Option<Algorithm> {
    let signed = [Algorithm::Es256, Algorithm::Ps256, Algorithm::Rs256, Algorithm::Ed25519];
    section
        .get(purpose.as_str())
        .map_or(Some(usual), |field| field.choice(&signed.map(|algorithm| (algorithm.name(), algorithm))))
}

fn at_least(field: &Field<'_, '_>) -> Option<Duration> {
    let duration = field.duration()?;
    if duration < SHORTEST {
        field.problem(format!("is shorter than `{}`", values::show_duration(SHORTEST)));
        return None;
    }
    Some(duration)
}
