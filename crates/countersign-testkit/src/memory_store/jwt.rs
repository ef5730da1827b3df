//! Signed tokens that were called back, in memory.

use super::MemoryStore;
use countersign_core::{BoxFuture, Node, NodeKind, StoreError, Timestamp, audit::AuditEvent};
use countersign_methods::{
    jwt::store::{JwtStore, TokenRevoked},
    revocation::store::{Change, ChangeKind},
};

impl JwtStore for MemoryStore {
    fn revoke_token<'a>(
        &'a self,
        id: &'a str,
        at: Timestamp,
        until: Timestamp,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<TokenRevoked, StoreError>> {
        self.answer(|state| {
            let node = Node::new(NodeKind::Token, id);
            let covers = |change: &Change| {
                change.node == node
                    && change.kind == ChangeKind::Revoked
                    && change.until.is_none_or(|known| known >= until)
            };
            if state.changes.iter().any(covers) {
                return Ok(TokenRevoked::Already);
            }
            state.tell(event);
            state.change(ChangeKind::Revoked, node, at, Some(until));
            Ok(TokenRevoked::Now)
        })
    }
}
