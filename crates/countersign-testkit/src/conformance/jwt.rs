//! The port of signed tokens: which were called back.

use super::{Ports, at, event};
use countersign_core::{Node, NodeKind};
use countersign_methods::{jwt::store::TokenRevoked, revocation::store::ChangeKind};

pub async fn a_token_is_revoked_once(ports: Ports) {
    let revoke = async |id: &'static str, until| {
        ports.jwt.revoke_token(id, at(1), at(until), event("token.revoke", id)).await.unwrap()
    };
    assert_eq!(revoke("one", 100).await, TokenRevoked::Now);
    assert_eq!(revoke("one", 100).await, TokenRevoked::Already);
    assert_eq!(revoke("one", 90).await, TokenRevoked::Already);
    // remembered for longer
    assert_eq!(revoke("one", 200).await, TokenRevoked::Now);
    assert_eq!(revoke("two", 100).await, TokenRevoked::Now);
    let found: Vec<_> = ports.changes().await.into_iter().map(|c| (c.kind, c.node, c.until)).collect();
    let node = |id| Node::new(NodeKind::Token, id);
    let revoked = ChangeKind::Revoked;
    assert_eq!(
        found,
        [
            (revoked, node("one"), Some(at(100))),
            (revoked, node("one"), Some(at(200))),
            (revoked, node("two"), Some(at(100))),
        ]
    );
}
