//! The rooms: one folder a method, each with the same files, and the halls between them. Does no I/O: the world is
//! reached through the ports in `store.rs` of each folder. Next in the walk: the adapters in `countersign-store`.

pub mod api_key;
pub mod basic;
pub mod exposure;
mod id_hash;
pub mod jwt;
pub mod operator;
pub mod password;
pub mod principal;
pub mod registry;
pub mod revocation;
pub mod session;
pub mod signing;
mod user_pass;

#[cfg(test)]
mod fakes;
#[cfg(test)]
mod tests;
