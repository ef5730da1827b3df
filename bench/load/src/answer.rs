//! One HTTP/1.1 answer, checked.

pub enum Seen {
    /// More must come.
    Part,
    /// Right: its status, and how many bytes it took.
    Right(u16, usize),
    Wrong(String),
}

/// The body of the upstream's answers: `x` and one line end.
pub fn body(length: usize) -> Vec<u8> {
    let mut body = vec![b'x'; length];
    if let Some(last) = body.last_mut() {
        *last = b'\n';
    }
    body
}

pub fn check(bytes: &[u8], statuses: &[u16], body: &[u8]) -> Seen {
    let wrong = |what: &str| {
        Seen::Wrong(format!("{what}: {}", String::from_utf8_lossy(&bytes[..bytes.len().min(300)])))
    };
    let Some(end) = find(bytes, b"\r\n\r\n") else {
        return Seen::Part;
    };
    let (head, rest) = (&bytes[..end + 2], &bytes[end + 4..]);
    let status =
        head.strip_prefix(b"HTTP/1.1 ").and_then(|h| std::str::from_utf8(h.get(..3)?).ok()?.parse().ok());
    let Some(status) = status.filter(|s| statuses.contains(s)) else {
        return wrong("status");
    };
    let length = head.split(|b| *b == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(15)?;
        let named = name.eq_ignore_ascii_case(b"content-length:");
        named.then(|| std::str::from_utf8(value).ok()?.trim().parse::<usize>().ok())?
    });
    let Some(length) = length else {
        return wrong("no content-length");
    };
    // a refusal has a body of its own
    if status == 200 && length != body.len() {
        return wrong("length");
    }
    let Some(got) = rest.get(..length) else {
        return Seen::Part;
    };
    if status == 200 && got != body {
        return wrong("body");
    }
    Seen::Right(status, end + 4 + length)
}

pub fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    let (first, mut at) = (*what.first()?, 0);
    loop {
        at += bytes.get(at..)?.iter().position(|b| *b == first)?;
        if bytes.get(at..)?.starts_with(what) {
            return Some(at);
        }
        at += 1;
    }
}
