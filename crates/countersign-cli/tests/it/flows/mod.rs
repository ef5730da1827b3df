//! HOUSE's walks, through real listeners.

mod exposed;
mod key_life;
mod observe;
mod operators;
mod reload;
mod request;
