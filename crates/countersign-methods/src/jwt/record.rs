//! Pure: an access token of ours (RFC 9068 2.2). Nothing is kept of one but its end, where it was called back; what it says is
//! all there is.

use crate::session::record::session_node;
use countersign_core::{CredentialId, Lineage, Node, NodeKind, PrincipalId, ScopeSet, Timestamp};
use std::sync::Arc;

/// RFC 9068 2.1.
pub const TYP: &str = "at+jwt";
/// RFC 9068 2.2 demands a client: a session's is the deployment itself.
pub const CLIENT: &str = "countersign";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    pub issuer: Arc<str>,
    pub audiences: Arc<[Arc<str>]>,
    pub principal: PrincipalId,
    /// `sid`.
    pub session: CredentialId,
    /// 128 random bits.
    pub jti: String,
    pub scopes: ScopeSet,
    /// `lin`: what it dies with, beside the token itself, its key, its session and its principal.
    pub parents: Vec<Node>,
    /// RFC 8176.
    pub amr: String,
    pub authenticated_at: Timestamp,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
}

impl AccessToken {
    /// RULES 2.5: all of its parents'.
    pub fn lineage(&self, kid: &str) -> Lineage {
        let own = [
            Node::principal(&self.principal),
            session_node(&self.session),
            token_node(&self.jti),
            crate::signing::record::signing_key_node(kid),
        ];
        Lineage::new(own.into_iter().chain(self.parents.iter().cloned()))
    }
}

pub fn token_node(jti: &str) -> Node {
    Node::new(NodeKind::Token, jti)
}
