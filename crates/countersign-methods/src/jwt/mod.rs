//! The room of signed tokens (RFC 7519, RFC 9068, RFC 6750; RULES 1.4, 1.6, 1.8, 2.5, 4.2, 5.3): short-lived access tokens of our
//! own sessions, the cookie that stands for one, and tokens of issuers that the configuration trusts ([`foreign`]). It owns
//! where they stand in a request ([`credential`]), what ours say ([`record`], [`claims`]), how each is judged ([`verify`]),
//! their use ([`authenticator`]), and how one is made and called back ([`issue`]). Keys are the hall's of signing, sessions the
//! hall's of sessions. Next in the walk: `countersign-store`, which implements [`store`].
//!
//! ```text
//! sign in ──> session ──mint──> access token (5 min) ──exp──> over
//!                │  └──refresh──> the next one
//!                └──end──> every token of it is refused, on every gateway, within a second
//! a token, a session, a signing key, "everything before now": each is a node that a token descends from
//! ```

pub mod authenticator;
pub mod claims;
pub mod config;
pub mod credential;
pub mod foreign;
pub mod issue;
pub mod record;
pub mod store;
pub mod verify;
