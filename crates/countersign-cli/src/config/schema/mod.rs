//! The shape of the file for editors and checkers: JSON Schema, draft 2020-12. Written by hand, because it is read by
//! people; that it is the shape that the reader knows is proved by its tests, key by key and kind by kind.

/// JSON.
pub const SCHEMA: &str = include_str!("schema.json");

#[cfg(test)]
pub(super) mod tests;
