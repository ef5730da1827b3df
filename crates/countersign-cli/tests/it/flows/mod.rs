//! HOUSE's walks, through real listeners.

mod basic;
mod exposed;
mod issuers;
mod jwt_interop;
mod key_life;
mod observe;
mod operators;
mod reload;
mod request;
mod session_browser;
