//! Adapters for the ports: what the rooms keep ([`sql`], on SQLite or PostgreSQL) and what one process keeps by
//! itself ([`local`]: the clock and the counters). Owns every SQL statement and every connection; decides nothing: a
//! rule that a write must keep stands in the `WHERE` of its statement because its port says so. Next: nobody; the
//! composition root hands a [`Store`] to the rooms as their ports.

pub mod chain;
pub mod local;
pub mod sql;

pub use sql::{
    ChangeSink, ENGINES, FollowerHandle, Inspection, KeyCounts, LAG_BOUNDS, Store, StoreFigures,
    StoreOptions, TIME_BOUNDS, Times, copy, inspect, newest_schema,
};
