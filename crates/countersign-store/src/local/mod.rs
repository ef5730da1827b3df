//! The ports that need no database.

mod clock;

pub use clock::SystemClock;
