//! Opaque tokens: what they look like ([`format`]), and what is stored instead of them ([`digest`]). Knows neither who
//! holds one nor what it opens; the rooms do.

pub mod digest;
pub mod format;

#[cfg(test)]
mod tests;
