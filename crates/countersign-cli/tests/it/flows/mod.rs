//! HOUSE's walks, through real listeners.

mod key_life;
mod observe;
mod operators;
mod reload;
mod request;
