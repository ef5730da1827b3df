//! Who is at the other end of a connection, as far as the connection itself tells.

use super::tls::Tenant;
use countersign_core::check::request::Peer;

#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) peer: Peer,
    /// Where several certificates answer.
    pub(crate) tenant: Option<Tenant>,
}
