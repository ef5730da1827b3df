//! The binary of Countersign, as a library with a thin `main.rs`, so that tests can compose it in process.
//!
//! Owns the command line, the configuration file and the composition root. Judges, stores and serves nothing itself.

pub mod config;
