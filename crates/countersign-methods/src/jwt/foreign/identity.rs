//! Who a token of somebody else is about, in our words. An issuer speaks for principals of a namespace of its own, or for
//! those of ours that its entry lists (RULES 1.8).

use super::{
    config::ForeignIssuer,
    verify::{ForeignToken, text, words},
};
use countersign_core::{
    Authentication, CredentialId, Lineage, MethodName, Node, NodeKind, Noted, Place, PrincipalId, Scope,
    ScopeSet, Timestamp,
    directory::Standing,
    principal::{Group, PrincipalKind, PrincipalName},
};
use countersign_crypto::hash::Sha256;
use serde_json::Value;
use std::sync::Arc;

const MOST_GROUPS: usize = 64;

#[derive(Debug)]
pub enum ForeignOutcome {
    /// Of the issuer's own namespace.
    Foreign(Box<Authentication>),
    /// For one of ours, by name.
    Local(Box<LocalOutcome>),
}

/// Who it is has to be looked up.
#[derive(Debug)]
pub struct LocalOutcome {
    name: PrincipalName,
    authentication: Authentication,
}

impl LocalOutcome {
    pub fn name(&self) -> &PrincipalName {
        &self.name
    }

    /// `principal`: who has that name now. What it may do, and whether it is active, is in our store; the token's scopes are
    /// cut to it as those of any credential. It ends with the principal, and with the issuer's subject.
    pub fn speaks_for(self, principal: &PrincipalId) -> Authentication {
        let Authentication { lineage, .. } = &self.authentication;
        let lineage = Lineage::new(lineage.iter().cloned().chain([Node::principal(principal)]));
        Authentication { principal: principal.clone(), lineage, foreign: None, ..self.authentication }
    }
}

pub(super) fn outcome(
    token: &ForeignToken,
    issuer: &ForeignIssuer,
    place: Place,
    now: Timestamp,
) -> ForeignOutcome {
    let authentication = established(token, issuer, place, now);
    match issuer.local.get(&*token.subject) {
        Some(name) => ForeignOutcome::Local(Box::new(LocalOutcome { name: name.clone(), authentication })),
        None => ForeignOutcome::Foreign(Box::new(authentication)),
    }
}

/// Twenty base62 characters of a hash over issuer and subject: 119 bits, as many as an id of ours has. The same person has
/// the same one tomorrow, and nobody else's subject leads to it.
pub fn principal_id(issuer: &str, subject: &str) -> PrincipalId {
    let mut hash = Sha256::new();
    for part in ["countersign foreign principal", issuer, subject] {
        hash.update_prefixed(part.as_bytes());
    }
    PrincipalId::foreign(&hash.finish())
}

fn established(token: &ForeignToken, issuer: &ForeignIssuer, place: Place, now: Timestamp) -> Authentication {
    let principal = principal_id(&issuer.issuer, &token.subject);
    let scopes = scopes(token, issuer);
    let node = Node::new(NodeKind::Token, &format!("{}:{}", issuer.name, token.id));
    let own = [Node::principal(&principal), node];
    let [_, credential] = &own;
    let credential = CredentialId::of(credential);
    let standing = Standing {
        kind: kind(token, issuer),
        name: name(token, issuer, &principal),
        active: true,
        scopes: scopes.clone(),
        groups: groups(token, issuer),
        principal: principal.clone(),
    };
    Authentication {
        principal,
        method: MethodName::Jwt,
        credential,
        lineage: Lineage::new(own),
        issuer: Some(issuer.name.shared()),
        audiences: audiences(token),
        scopes,
        authenticated_at: token.authenticated_at.unwrap_or(now),
        networks: Arc::default(),
        place,
        not_before: token.not_before,
        expires_at: Some(token.expires_at),
        limit: None,
        plan: None,
        foreign: Some(Arc::new(standing)),
        noted: Noted::default(),
    }
}

/// RULES 1.5: what can be the resource of a route is held against it. Where a token names only words that cannot, its
/// issuer's entry said that they mean all of this gateway.
fn audiences(token: &ForeignToken) -> Option<Arc<[Arc<str>]>> {
    let resources: Vec<_> =
        token.audiences.iter().filter(|audience| audience.starts_with("https://")).cloned().collect();
    (!resources.is_empty()).then(|| resources.into())
}

/// RULES 1.8: cut to the issuer's list, and none that acts on Countersign itself.
fn scopes(token: &ForeignToken, issuer: &ForeignIssuer) -> ScopeSet {
    let said = issuer.claims.scopes.find(token.verified.claims()).and_then(words).unwrap_or_default();
    let ours = said.into_iter().filter_map(|word| {
        if issuer.scope_map.is_empty() { Scope::parse(word) } else { issuer.scope_map.get(word).cloned() }
    });
    ScopeSet::new(ours.filter(|scope| issuer.scopes.contains(scope) && !scope.is_operators()))
}

/// RFC 9068 2.2, `sub`: where no person is involved it is the client.
fn kind(token: &ForeignToken, issuer: &ForeignIssuer) -> PrincipalKind {
    match text(token.verified.claims(), &issuer.claims.client) {
        Some(client) if client == &*token.subject => PrincipalKind::Service,
        _ => PrincipalKind::User,
    }
}

/// As its issuer calls it, where that is a name here; otherwise its id in lower case, which nobody else may be called.
fn name(token: &ForeignToken, issuer: &ForeignIssuer, id: &PrincipalId) -> PrincipalName {
    let said = issuer.claims.name.as_ref().and_then(|path| text(token.verified.claims(), path));
    let is_id = |name: &&str| name.starts_with(PrincipalId::FOREIGN) || PrincipalId::parse(name).is_some();
    said.filter(|name| !is_id(name))
        .and_then(PrincipalName::parse)
        .unwrap_or_else(|| PrincipalName::of_id(id))
}

/// Labels: what is none is left out.
fn groups(token: &ForeignToken, issuer: &ForeignIssuer) -> Arc<[Group]> {
    let said = issuer.claims.groups.as_ref().and_then(|path| path.find(token.verified.claims()));
    let mut groups: Vec<Group> = match said {
        Some(Value::String(one)) => Group::parse(one).into_iter().collect(),
        Some(Value::Array(several)) => {
            several.iter().filter_map(|group| Group::parse(group.as_str()?)).take(MOST_GROUPS).collect()
        }
        _ => Vec::new(),
    };
    groups.sort();
    groups.dedup();
    groups.into()
}
