//! Routes in one line, and the two that most tests use.

use countersign_core::{
    MethodName, ScopeSet,
    check::{
        decision::{Denial, Permit},
        route::{Alternative, Route, SecurityRequirement},
    },
};
use countersign_testkit::{Fixture, principal};

/// `"api_key a b | oauth c & mtls"`: alternatives by `|`, methods by `&`, each with its scopes.
pub(crate) fn security(text: &str) -> SecurityRequirement {
    let method = |text: &str| {
        let (name, scopes) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        (MethodName::parse(name).unwrap(), ScopeSet::parse(scopes).unwrap())
    };
    let alternative = |text: &str| Alternative(text.split('&').map(method).collect());
    SecurityRequirement::AnyOf(text.split('|').map(alternative).collect())
}

pub(crate) fn route(path: &str, requirement: &str) -> Route {
    Route::new(path, "orders", security(requirement))
}

/// Routes by path and requirement; `alice` holds `a b c`, and every method knows her credential `alice` with `a b`.
pub(crate) fn fixture(routes: &[(&str, &str)]) -> Fixture {
    let fixture = Fixture::builder().routes(routes.iter().map(|(path, needs)| route(path, needs))).build();
    with_alice(&fixture);
    fixture
}

pub(crate) fn with_alice(fixture: &Fixture) {
    let alice = principal("alice", "a b c");
    fixture.directory.set(&alice);
    for method in MethodName::ALL {
        fixture.room(method).good("alice", &alice.id, "a b");
    }
}

/// Status and code.
pub(crate) fn told(denial: &Denial) -> (u16, &'static str) {
    (denial.kind.status().as_u16(), denial.code)
}

/// The methods of a permit, subject first.
pub(crate) fn methods(permit: &Permit) -> Vec<MethodName> {
    permit.subject().into_iter().chain(permit.actors()).map(|known| known.authentication.method).collect()
}
