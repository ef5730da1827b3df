//! HOUSE's walks, through real listeners.

mod key_life;
mod operators;
mod reload;
mod request;
