//! What a listener grants a caller, and for how long: `limits` and `timeouts`, of one listener or of all.

use crate::config::reader::{Field, Table};
use countersign_gateway::{Limits, ListenerLimits, ListenerTimeouts};

/// Above these the gateway's own memory would be at stake.
const MOST_CONNECTIONS: u64 = 1_000_000;
const MOST_STREAMS: u64 = 1024;
/// Below these hardly a request would fit.
const LEAST_HEAD: usize = 1024;
const LEAST_FIELDS: usize = 8;

pub(in crate::config) fn limits(field: &Field<'_, '_>) -> Option<ListenerLimits> {
    let table = field.table()?;
    // what every caller of a default gateway may rely on is also the most that any grants (`HeadLimits`)
    let most = Limits::default().head;
    let connections = size(&table, "connections", 1..=MOST_CONNECTIONS);
    let head = size(&table, "head", wide(LEAST_HEAD)..=wide(most.head));
    let fields = size(&table, "fields", wide(LEAST_FIELDS)..=wide(most.fields));
    let body = integer(&table, "body", 0..=u64::MAX >> 1);
    let streams = integer(&table, "streams", 1..=MOST_STREAMS);
    table.finish();
    let streams = streams?.and_then(|n| u32::try_from(n).ok());
    Some(ListenerLimits { connections: connections?, head: head?, fields: fields?, body: body?, streams })
}

/// Of a table that may hold others too; whoever reads it finishes it.
pub(in crate::config) fn timeouts(table: &Table<'_, '_>) -> Option<ListenerTimeouts> {
    let read = |key| super::optional(table.get(key).map(|field| field.duration()));
    let (tls_handshake, head, idle) = (read("tls_handshake"), read("head"), read("idle"));
    let (body, connection_age) = (read("body"), read("connection_age"));
    Some(ListenerTimeouts {
        tls_handshake: tls_handshake?,
        head: head?,
        idle: idle?,
        body: body?,
        connection_age: connection_age?,
    })
}

#[expect(clippy::option_option, reason = "absent, unreadable and read are three things")]
fn integer(
    table: &Table<'_, '_>,
    key: &'static str,
    range: std::ops::RangeInclusive<u64>,
) -> Option<Option<u64>> {
    super::optional(table.get(key).map(|field| field.integer(range)))
}

#[expect(clippy::option_option, reason = "absent, unreadable and read are three things")]
fn size(
    table: &Table<'_, '_>,
    key: &'static str,
    range: std::ops::RangeInclusive<u64>,
) -> Option<Option<usize>> {
    Some(integer(table, key, range)?.and_then(|n| usize::try_from(n).ok()))
}

fn wide(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}
