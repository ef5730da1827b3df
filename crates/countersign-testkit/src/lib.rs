//! For tests only.

pub mod conformance;
