//! The room of signed tokens (RFC 7519, RFC 9068).

pub mod foreign;
