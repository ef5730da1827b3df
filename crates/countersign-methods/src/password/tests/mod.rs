//! The hall's tests, one file for each of its own.

mod breached;
mod normal;
mod policy;
mod throttle;
