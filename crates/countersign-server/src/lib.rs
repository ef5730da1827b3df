//! The control plane: the operators' face ([`router::operator`]: the admin API), the public face ([`router::public`]), what stands
//! under `/.countersign/` on the gateway's hosts ([`router::SessionFace`]), and what is said of the process itself ([`observe`]).
//!
//! Owns URLs, JSON, problem documents and the listener they stand on. Judges nobody: every operator's request passes
//! a decision point of its own, as any route of any API does. Issues nothing: the rooms of `countersign-methods` do.
//! Sees no store, only ports. Next in the walk: `countersign-methods`, whose `issue.rs` the handlers call.

mod admin;
mod call;
mod condition;
pub mod egress;
mod input;
pub mod listen;
pub mod observe;
mod once;
mod openapi;
mod problem;
mod public;
pub mod router;
pub mod services;
mod session;
#[cfg(test)]
mod test_world;
mod words;

pub use router::{BUILT_IN, SessionFace, admin_plan, admin_routes, operator, public, session_routes};
pub use services::{Limits, Services, Sessions};
