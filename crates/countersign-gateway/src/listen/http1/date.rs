//! `Date` for answers that have none (RFC 9110 6.6.1), written once a second.

use bytes::{BufMut, BytesMut};
use httpdate::HttpDate;
use std::{
    cell::RefCell,
    time::{Duration, UNIX_EPOCH},
};

thread_local! {
    static WRITTEN: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
}

/// The last second of the year 9999, the last that has a form.
const LAST: i64 = 253_402_300_799;

pub(super) fn write(out: &mut BytesMut, seconds: i64) {
    let seconds = seconds.clamp(0, LAST);
    WRITTEN.with_borrow_mut(|(when, line)| {
        if *when != seconds {
            let since = Duration::from_secs(seconds.unsigned_abs());
            *line = format!("date: {}\r\n", HttpDate::from(UNIX_EPOCH + since));
            *when = seconds;
        }
        out.put_slice(line.as_bytes());
    });
}
