//! `application/x-www-form-urlencoded`, in a query and in a body: strict percent-encoding, UTF-8, no name twice.

use crate::problem::quoted;

/// More pairs than any URL of ours takes.
const MAX_PAIRS: usize = 32;

pub(crate) fn pairs(text: &[u8]) -> Result<Vec<(String, String)>, String> {
    let mut all: Vec<(String, String)> = Vec::new();
    for pair in text.split(|b| *b == b'&').filter(|p| !p.is_empty()) {
        let mut halves = pair.splitn(2, |b| *b == b'=');
        let name = decode(halves.next().unwrap_or_default())?;
        let value = decode(halves.next().unwrap_or_default())?;
        if all.iter().any(|(n, _)| *n == name) {
            return Err(format!("parameter {} stands twice", quoted(&name)));
        }
        if all.len() == MAX_PAIRS {
            return Err(format!("more than {MAX_PAIRS} parameters"));
        }
        all.push((name, value));
    }
    Ok(all)
}

fn decode(text: &[u8]) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (high, low) = (rest.next().and_then(nibble), rest.next().and_then(nibble));
                let (Some(high), Some(low)) = (high, low) else {
                    return Err("a `%` is not followed by two hexadecimal digits".into());
                };
                high << 4 | low
            }
            other => other,
        });
    }
    let text = String::from_utf8(bytes).map_err(|_| "a parameter is not UTF-8")?;
    if text.contains('\0') {
        return Err("a parameter holds a NUL".into());
    }
    Ok(text)
}

fn nibble(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).and_then(|d| u8::try_from(d).ok())
}
