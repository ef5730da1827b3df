//! Unit tests of the steps; the whole path is judged in `tests/judgement/`, with the testkit.

mod cookie;
mod difference;
mod limit;
mod path;
mod rewrite;
mod route;
mod verified;
