//! Opaque tokens: what they look like ([`format`]), what is stored instead of them ([`digest`]), and
//! what may stand behind them ([`mark`]). Knows neither who
//! holds one nor what it opens; the rooms do.

pub mod digest;
pub mod format;
pub mod mark;

#[cfg(test)]
mod tests;
