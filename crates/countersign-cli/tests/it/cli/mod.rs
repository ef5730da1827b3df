//! The binary itself: what a person types, and what only a process can show.

mod audit;
mod backup;
mod basic;
mod dev;
mod doctor;
mod errors;
mod help;
mod openapi;
mod packaging;
mod process;
mod quick_start;
mod refusals;
mod reload;
mod secrets;
mod shared_store;
mod shell;
mod signed;
mod verbs;
