//! The ports that need no database: this process's clock and its counters.

mod clock;
mod counter;

pub use clock::SystemClock;
pub use counter::LocalCounter;
