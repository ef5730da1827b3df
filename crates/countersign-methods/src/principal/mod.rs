//! The hall of principals: users and services, whom every credential belongs to.
pub mod caller;
pub mod issue;
pub mod store;
