//! Pure: what the caller presents, `Authorization: Basic` (RFC 7617). Its grammar is [`crate::user_pass`]'s: a key may stand in
//! the same field.

pub use crate::user_pass::{Buffer, LONGEST, UserPass, decode, find};
