//! Every operation through the whole path: layer, decision point, router, handler, room, store.

mod api_key;
mod bad_input;
mod basic;
mod jwt;
mod others;
mod principal;
mod session;
mod signing;
