//! The operators' face. Owns the JSON of the admin API; every handler takes the caller from the permit and leaves
//! what may be issued to the rooms (RULES 2.6). Next: `v1`, one file per noun.

pub(crate) mod v1;
