//! The house as a whole: walks through real listeners in process, and the binary itself where a process matters.

mod admin;
mod cli;
mod config;
mod flows;
mod furnished;
mod support;
