//! Signed tokens that were called back. None is kept: what is kept is that its node is revoked, until it would be over.

use super::{Store, dialect::sql, revocation::NewChange, unit::Purpose};
use countersign_core::{BoxFuture, Node, NodeKind, StoreError, Timestamp, audit::AuditEvent};
use countersign_methods::jwt::store::{JwtStore, TokenRevoked};

impl JwtStore for Store {
    fn revoke_token<'a>(
        &'a self,
        id: &'a str,
        at: Timestamp,
        until: Timestamp,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<TokenRevoked, StoreError>> {
        let node = Node::new(NodeKind::Token, id);
        let write = self.write(Purpose::Revocation, move |unit| {
            Box::pin(async move {
                // two at once are both written, which costs a row; one after another costs none
                let known: Option<(i64,)> = sql("SELECT position FROM feed
                     WHERE node_kind = $1 AND node_id = $2 AND kind = 'revoked' AND (until_at IS NULL OR until_at >= $3) LIMIT 1")
                .bind(node.kind.as_str())
                .bind(&*node.id)
                .bind(until.as_micros())
                .optional(&mut unit.conn)
                .await?;
                if known.is_some() {
                    return Ok(TokenRevoked::Already);
                }
                unit.change(NewChange::revoked(node, at, Some(until)));
                unit.audit(event);
                Ok(TokenRevoked::Now)
            })
        });
        Box::pin(async move { write.await.map(|(revoked, _)| revoked) })
    }
}
