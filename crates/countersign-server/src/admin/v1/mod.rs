//! Version 1 of the admin API: one file per noun, named as the noun is everywhere.

pub(crate) mod api_key;
pub(crate) mod audit;
pub(crate) mod basic;
pub(crate) mod jwt;
pub(crate) mod openapi;
pub(crate) mod principal;
pub(crate) mod probe;
pub(crate) mod revocation;
pub(crate) mod route;
pub(crate) mod session;
pub(crate) mod signing;
#[cfg(test)]
mod tests;
