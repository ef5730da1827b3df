//! Durations: a number and one unit, `30s 15m 24h 90d 1y`.

use std::time::Duration;

/// A year is 365 days: what ends in a year must end on a day that does not depend on the calendar.
const UNITS: [(char, u64); 5] = [('y', 31_536_000), ('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// Longest first, so that a century fits and nothing overflows.
const LONGEST: u64 = 100 * 31_536_000;

pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    const SHAPE: &str = "must be a number and a unit, such as `30s`, `15m`, `24h`, `90d` or `1y`";
    let unit = text.chars().next_back().and_then(|c| UNITS.iter().find(|(u, _)| *u == c));
    let Some((letter, seconds)) = unit else {
        return Err(SHAPE.into());
    };
    let digits = text.strip_suffix(*letter).unwrap_or_default();
    if digits.is_empty() || digits.len() > 10 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(SHAPE.into());
    }
    let total = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(*seconds));
    match total {
        Some(0) => Err("must be longer than nothing".into()),
        Some(total) if total <= LONGEST => Ok(Duration::from_secs(total)),
        _ => Err("is longer than a century".into()),
    }
}

/// In the largest unit that divides it; `parse` gives it back.
pub(crate) fn format(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if duration.subsec_nanos() > 0 || seconds == 0 {
        return format!("{}ms", duration.as_millis());
    }
    let unit = UNITS.iter().find(|(_, size)| seconds.is_multiple_of(*size));
    unit.map_or_else(|| format!("{seconds}s"), |(letter, size)| format!("{}{letter}", seconds / size))
}
