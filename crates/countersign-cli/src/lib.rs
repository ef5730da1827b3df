//! The binary of Countersign, as a library with a thin `main.rs`, so that tests can compose it in process.
//!
//! Owns the command line, the configuration file and the composition root. Judges, stores and serves nothing itself.

pub mod admin_client;
pub mod audit_file;
pub mod certificates;
pub mod commands;
pub mod compose;
pub mod config;
pub mod descriptors;
pub mod echo;
pub mod keyring;
pub mod logging;
pub mod operator;
pub mod output;
pub mod place;
pub mod private_file;
pub mod reload;
pub mod service_manager;

/// The whole program: parse the line, do it, say how it ended.
pub fn main(line: impl IntoIterator<Item = std::ffi::OsString>) -> std::process::ExitCode {
    std::process::ExitCode::from(commands::run(line) as u8)
}
