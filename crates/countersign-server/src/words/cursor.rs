//! Where a list goes on: opaque to callers, and good only for the list that gave it out.

/// The sort key of the last item seen, with the list it belongs to, in hexadecimal.
pub(crate) fn encode(list: &str, after: &str) -> String {
    format!("{list}:{after}").bytes().map(|b| format!("{b:02x}")).collect()
}

/// `None`: not a cursor of this list.
pub(crate) fn decode(list: &str, cursor: &str) -> Option<String> {
    const LONGEST: usize = 512;
    if cursor.len() > LONGEST || !cursor.len().is_multiple_of(2) {
        return None;
    }
    let bytes = cursor
        .as_bytes()
        .chunks_exact(2)
        .map(|pair| {
            let digit = |b: &u8| match b {
                b'0'..=b'9' => Some(b - b'0'),
                b'a'..=b'f' => Some(b - b'a' + 10),
                _ => None,
            };
            match pair {
                [high, low] => Some(digit(high)? << 4 | digit(low)?),
                _ => None,
            }
        })
        .collect::<Option<Vec<u8>>>()?;
    let text = String::from_utf8(bytes).ok()?;
    let after = text.strip_prefix(list)?.strip_prefix(':')?;
    (!after.is_empty() && after.bytes().all(|b| matches!(b, b' '..=b'~'))).then(|| after.to_owned())
}
