//! Does what we know satisfy one alternative of the requirement (RULES 2.1)?

use super::{
    Case,
    decision::{Denial, DenialKind, Known, Refused},
    route::Alternative,
};
use crate::{MethodName, ScopeSet};

/// The first satisfied alternative, in written order; `None`: a public route needs none. Each method must hold its own
/// scopes: what another credential holds is never added to them. Once satisfied, the other good credentials give
/// nothing and go, so that what is charged is what is used.
pub(super) fn authorize(case: &Case<'_>, known: &mut Vec<Known>) -> Result<(), Refused> {
    let compiled = case.compiled;
    if compiled.is_public() {
        return Ok(());
    }
    let alternative = satisfied(compiled.alternatives(), known)?;
    known.retain(|k| alternative.names(k.authentication.method));
    Ok(())
}

fn satisfied<'a>(alternatives: &'a [Alternative], known: &[Known]) -> Result<&'a Alternative, Refused> {
    let by = |method: MethodName| known.iter().find(|k| k.authentication.method == method);
    let satisfied = |alternative: &&Alternative| {
        let holds = |(method, scopes): &(MethodName, ScopeSet)| {
            by(*method).is_some_and(|k| scopes.is_subset(&k.scopes))
        };
        alternative.0.iter().all(holds)
    };
    if let Some(alternative) = alternatives.iter().find(satisfied) {
        return Ok(alternative);
    }
    // 403 only where all methods of one alternative were good: the one that lacks fewest scopes, the first of those
    let complete = alternatives.iter().filter(|a| a.0.iter().all(|(method, _)| by(*method).is_some()));
    let lacking = |a: &&Alternative| -> usize {
        let held = |(method, scopes): &(MethodName, ScopeSet)| {
            by(*method).map_or(0, |k| scopes.iter().filter(|s| !k.scopes.contains(s)).count())
        };
        a.0.iter().map(held).sum()
    };
    if let Some(nearest) = complete.min_by_key(lacking) {
        let mut denial = Denial::refused(DenialKind::Forbidden, "scope_missing", "a scope is missing");
        denial.needs = Some(ScopeSet::new(nearest.0.iter().flat_map(|(_, scopes)| scopes.iter().cloned())));
        return Err(denial);
    }
    // RULES 1.9: where every way in lacks nothing but a certificate, no challenge can ask for one
    let only_certificate = alternatives.iter().all(|a| {
        a.0.iter().filter(|(method, _)| by(*method).is_none()).all(|(method, _)| *method == MethodName::Mtls)
    });
    Err(if only_certificate {
        Denial::refused(DenialKind::Forbidden, "certificate_required", "no client certificate")
    } else {
        Denial::refused(
            DenialKind::Unauthenticated,
            "credential_missing",
            "no credential for any alternative",
        )
    })
}
