//! Issuers whose tokens are trusted: are their keys to be had from here, and are those here whom they may speak for?

use super::{Findings, Patient};
use crate::compose::{World, brief, look_at_issuers};
use countersign_methods::jwt::foreign::{ForeignIssuer, KeyOrigin};
use countersign_server::egress::jwks::KeysState;
use countersign_store::Inspection;

const AREA: &str = "issuers";

/// As the server does it, once.
pub(super) async fn keys(patient: &Patient<'_>, findings: &mut Findings) {
    match look_at_issuers(patient.settings, &World::of_machine()).await {
        Ok(all) => all.iter().for_each(|(issuer, state)| one(issuer, state, findings)),
        Err(failure) => {
            let todo = failure.todo.unwrap_or_else(|| "`serve` does not start like this".to_owned());
            findings.problem(AREA, failure.what, todo);
        }
    }
}

fn one(issuer: &ForeignIssuer, state: &KeysState, findings: &mut Findings) {
    let name = &issuer.name;
    let (place, todo) = match &issuer.keys {
        KeyOrigin::Discovery => (
            "where its metadata say".to_owned(),
            "see whether `issuer` is right to the letter and answers this machine, or name its keys by `jwks = { url = \"..\" }`",
        ),
        KeyOrigin::Url(url) => {
            (format!("at `{url}`"), "see whether the `url` of `jwks` is right and answers this machine")
        }
        KeyOrigin::File(path) => (
            format!("in `{}`", path.display()),
            "put a JWK Set there (RFC 7517) that the user of `serve` can read; it is taken without a restart",
        ),
        KeyOrigin::Secret(_) => {
            ("a secret".to_owned(), "put another secret into the file that `secret_file` names")
        }
    };
    let Some(error) = &state.error else {
        let KeysState { keys, skipped, .. } = state;
        let left_out = if *skipped > 0 { format!(", {skipped} left out") } else { String::new() };
        return findings.good(AREA, format!("`{name}`: its keys are {place}: {keys} can be used{left_out}"));
    };
    // RULES 5.3
    findings.problem(
        AREA,
        format!("`{name}`: its keys cannot be taken: {error}"),
        format!(
            "{todo}; a server without keys of it, or with such as are a day old, answers its tokens with 503"
        ),
    );
}

/// RULES 1.8: who is listed and not here lets nobody in.
pub(super) fn local(patient: &Patient<'_>, looked: &Inspection, findings: &mut Findings) {
    if looked.schema.is_none() {
        return;
    }
    for ForeignIssuer { name, local, .. } in patient.settings.issuers.iter().filter(|i| !i.local.is_empty()) {
        let mut absent: Vec<_> = local
            .values()
            .filter(|principal| looked.unknown.iter().any(|unknown| unknown == principal.as_str()))
            .map(|principal| format!("`{principal}`"))
            .collect();
        absent.sort_unstable();
        absent.dedup();
        if absent.is_empty() {
            findings.good(AREA, format!("`{name}`: everybody whom `local` names is here"));
        } else {
            findings.warning(
                AREA,
                format!(
                    "`{name}`: `local` names principals that are not here: {}; tokens of those subjects are answered with 401",
                    brief(&absent)
                ),
                "`countersign user create NAME` or `countersign service create NAME` makes one; otherwise correct `local`",
            );
        }
    }
}
