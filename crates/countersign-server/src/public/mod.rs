//! The public face: what anybody may call. Every URL here is listed in `unprotected-endpoints.txt`, and each has a
//! reason beside it in the router.

pub(crate) mod password;
pub(crate) mod revoke;
#[cfg(test)]
mod tests;
