//! Times: RFC 3339, in UTC, to the microsecond that is kept.

use countersign_core::Timestamp;

pub(crate) fn format(at: Timestamp) -> String {
    // outside the years that RFC 3339 can write only a corrupt row could stand
    jiff::Timestamp::from_microsecond(at.as_micros())
        .map_or_else(|_| "9999-12-30T22:00:00Z".into(), |t| t.to_string())
}

/// RFC 3339 5.6 `date-time`, with upper-case `T` and `Z`. The library reads more than that, so the shape is
/// checked first.
pub(crate) fn parse(text: &str) -> Result<Timestamp, String> {
    const SHAPE: &str = "must be a time such as `2027-01-31T12:00:00Z` (RFC 3339)";
    if !is_date_time(text.as_bytes()) {
        return Err(SHAPE.into());
    }
    let parsed: jiff::Timestamp = text.parse().map_err(|_| SHAPE)?;
    Ok(Timestamp::from_micros(parsed.as_microsecond()))
}

fn is_date_time(text: &[u8]) -> bool {
    let Some((head, rest)) = text.split_at_checked(19) else { return false };
    let head_fits = head.iter().zip(b"0000-00-00T00:00:00").all(|(have, want)| match want {
        b'0' => have.is_ascii_digit(),
        other => have == other,
    });
    let fraction_len = match rest {
        [b'.', digits @ ..] => match digits.iter().take_while(|b| b.is_ascii_digit()).count() {
            n @ 1..=9 => n + 1,
            _ => return false,
        },
        _ => 0,
    };
    let zone_fits = match rest.get(fraction_len..) {
        Some([b'Z']) => true,
        Some([b'+' | b'-', h1, h2, b':', m1, m2]) => [h1, h2, m1, m2].iter().all(|b| b.is_ascii_digit()),
        _ => false,
    };
    head_fits && zone_fits
}
