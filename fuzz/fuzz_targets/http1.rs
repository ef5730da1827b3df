//! HTTP/1.1 messages, whole and in pieces: a message ends where it ends however it arrives, and nothing behind it is taken.
#![no_main]

use bytes::BytesMut;
use countersign_gateway::http1::{
    Malformed,
    body::{Decoded, Decoder, Framing},
    fields::Fields,
    head,
};
use http::{HeaderMap, Method};
use libfuzzer_sys::fuzz_target;

/// What was read, and what stands behind it.
#[derive(Debug, PartialEq)]
struct Read {
    start: String,
    fields: Fields,
    framing: Framing,
    body: Vec<u8>,
    trailers: HeaderMap,
    behind: Vec<u8>,
}

/// `None`: not all of it is there.
fn read(input: &[u8], piece: usize, is_answer: bool) -> Result<Option<Read>, Malformed> {
    let (mut pieces, mut buf) = (input.chunks(piece.max(1)), BytesMut::new());
    let (start, fields, framing) = loop {
        let parsed = if is_answer {
            let head = head::response(&mut buf, &Method::GET)?;
            head.map(|head| (head.status.to_string(), head.fields, head.framing))
        } else {
            let head = head::request(&mut buf)?;
            head.map(|head| (format!("{} {}", head.method, head.uri), head.fields, head.framing))
        };
        match (parsed, pieces.next()) {
            (Some(parsed), more) => {
                buf.extend_from_slice(more.unwrap_or_default());
                break parsed;
            }
            (None, Some(more)) => buf.extend_from_slice(more),
            (None, None) => return Ok(None),
        }
    };
    let (mut decoder, mut body, mut trailers) = (Decoder::new(framing), Vec::new(), HeaderMap::new());
    loop {
        match decoder.decode(&mut buf)? {
            Decoded::Data(data) => {
                assert!(!data.is_empty());
                body.extend_from_slice(&data);
            }
            Decoded::Trailers(told) => trailers = told,
            Decoded::Over => break,
            Decoded::More => match pieces.next() {
                Some(more) => buf.extend_from_slice(more),
                None if decoder.closed().is_ok() => {}
                None => return Ok(None),
            },
        }
    }
    let behind = buf.iter().chain(pieces.flatten()).copied().collect();
    Ok(Some(Read { start, fields, framing, body, trailers, behind }))
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, input)) = data.split_first() else { return };
    let (is_answer, piece) = (first & 1 == 1, usize::from(first >> 1) + 1);
    let whole = read(input, input.len(), is_answer);
    for piece in [piece, 1] {
        match (&whole, read(input, piece, is_answer)) {
            (Ok(whole), Ok(cut)) => assert_eq!(*whole, cut, "by {piece}"),
            (Err(_), Err(_)) => {}
            (whole, cut) => panic!("{whole:?}, by {piece} {cut:?}"),
        }
    }
    if let Ok(Some(read)) = whole {
        assert!(read.behind.len() <= input.len() && input.ends_with(&read.behind));
        if let Framing::Length(length) = read.framing {
            assert_eq!(read.body.len() as u64, length);
        }
    }
});
