//! What is pure of a token: where it stands, what it says, how it is judged. The attack through the judgement is in
//! `tests/tokens`.

mod claims;
mod credential;
mod verify;

use super::record::AccessToken;
use crate::fakes::{NOW, person, scopes};
use countersign_core::{CredentialId, Node, NodeKind, Timestamp};
use std::{sync::Arc, time::Duration};

const ISSUER: &str = "https://auth.example.com";

fn token() -> AccessToken {
    let ada = person("ada", "orders:read").id;
    AccessToken {
        issuer: ISSUER.into(),
        audiences: Arc::new(["https://api.example.com".into()]),
        session: CredentialId::new("0aB3dE6gH9jK"),
        jti: "J".repeat(22),
        scopes: scopes("orders:read orders:write"),
        parents: vec![Node::new(NodeKind::Password, "usr_1.7"), Node::generation(&ada, 3)],
        amr: "pwd".into(),
        authenticated_at: NOW,
        issued_at: NOW,
        expires_at: NOW + Duration::from_secs(300),
        principal: ada,
    }
}

/// Tokens speak of whole seconds.
fn seconds(at: Timestamp) -> i64 {
    at.as_seconds()
}
