//! Pure: what we keep of a person's password.

use countersign_core::{Node, NodeKind, PrincipalId, Timestamp, principal::Principal};
use countersign_crypto::password::PasswordHash;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordRecord {
    pub principal: PrincipalId,
    pub hash: PasswordHash,
    /// By which rule the text was made normal before it was hashed; 0: by none we know (it was imported).
    pub normal: u16,
    /// The microsecond in which it was set, or one more than the version before: no version comes twice, also where one
    /// was removed in between. A better hash of the same password leaves it.
    pub version: i64,
    pub set_at: Timestamp,
}

impl PasswordRecord {
    /// RULES 2.5: what was signed in with this password dies with it.
    pub fn node(&self) -> Node {
        password_node(&self.principal, self.version)
    }
}

pub fn password_node(principal: &PrincipalId, version: i64) -> Node {
    Node::new(NodeKind::Password, &format!("{principal}.{version}"))
}

/// Somebody with a name, and the password if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub principal: Principal,
    pub password: Option<PasswordRecord>,
}
