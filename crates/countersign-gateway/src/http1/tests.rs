use super::{
    Malformed,
    body::{Decoded, Decoder, Framing, write_chunk_size, write_last_chunk},
    fields::Fields,
    head,
};
use bytes::BytesMut;
use countersign_core::check::request::HeaderView;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header::HOST};

/// All of a body, however it is cut into pieces, and what stands behind it.
fn decoded(framing: Framing, input: &[u8], cut: usize) -> Result<(Vec<u8>, HeaderMap, Vec<u8>), Malformed> {
    let (mut decoder, mut buf) = (Decoder::new(framing), BytesMut::new());
    let (mut data, mut trailers) = (Vec::new(), HeaderMap::new());
    let mut pieces = input.chunks(cut);
    loop {
        match decoder.decode(&mut buf)? {
            Decoded::Data(piece) => {
                assert!(!piece.is_empty());
                data.extend_from_slice(&piece);
            }
            Decoded::Trailers(told) => trailers = told,
            Decoded::Over => {
                let behind = buf.iter().copied().chain(pieces.flatten().copied()).collect();
                return Ok((data, trailers, behind));
            }
            Decoded::More => match pieces.next() {
                Some(piece) => buf.extend_from_slice(piece),
                None => decoder.closed()?,
            },
        }
    }
}

#[test]
fn a_body_ends_where_it_ends_however_it_arrives() {
    let many = "y".repeat(5000);
    let large = format!("{:x}\r\n{many}\r\n0\r\n\r\nX", many.len());
    for (framing, input, data, behind) in [
        (Framing::Length(0), "next", "", "next"),
        (Framing::Length(3), "abcnext", "abc", "next"),
        (Framing::Chunked, "3\r\nabc\r\n0\r\n\r\nnext", "abc", "next"),
        (Framing::Chunked, "1\r\na\r\n002\r\nbc\r\n00\r\n\r\nnext", "abc", "next"),
        (Framing::Chunked, "3;a=b;c=\"d\"\r\nabc\r\n0 ; x\r\n\r\nnext", "abc", "next"),
        (Framing::Chunked, "A\r\n0123456789\r\n0\r\n\r\n", "0123456789", ""),
        (Framing::Chunked, &large, &many, "X"),
        (Framing::UntilClose, "abc", "abc", ""),
    ] {
        for cut in [1, 2, 3, 7, input.len().max(1)] {
            let (got, _, left) = decoded(framing, input.as_bytes(), cut).unwrap();
            assert_eq!((got, left), (data.into(), behind.into()), "{input} by {cut}");
        }
    }
}

#[test]
fn trailers_are_told() {
    let input = b"1\r\na\r\n0\r\nx-a: 1\r\nX-B: 2\r\n\r\nnext";
    for cut in 1..input.len() {
        let (data, trailers, left) = decoded(Framing::Chunked, input, cut).unwrap();
        assert_eq!((&*data, &*left, trailers.len()), (&b"a"[..], &b"next"[..], 2), "{cut}");
        assert_eq!(trailers["x-b"], "2");
    }
}

#[test]
fn a_body_that_breaks_its_framing_is_refused() {
    let many = format!("0\r\n{}\r\n", "a: b\r\n".repeat(65));
    let long = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(17 * 1024));
    let endless = format!("1;{}", "x".repeat(17 * 1024));
    let drop = "1;xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\na\r\n".repeat(1000);
    let heavy = format!("0\r\na: {}\r\n\r\n", "x".repeat(17 * 1024));
    for (input, expected) in [
        ("3\r\nab", Malformed::Incomplete),
        ("", Malformed::Incomplete),
        ("0\r\n", Malformed::Incomplete),
        ("0\r\na: b\r\n", Malformed::Incomplete),
        ("\r\n", Malformed::Grammar),
        ("g\r\n", Malformed::Grammar),
        ("-1\r\na\r\n", Malformed::Grammar),
        ("+1\r\na\r\n", Malformed::Grammar),
        ("0x1\r\na\r\n", Malformed::Grammar),
        (" 1\r\na\r\n", Malformed::Grammar),
        ("1 \r\na\r\n", Malformed::Grammar),
        ("1 1\r\na\r\n", Malformed::Grammar),
        // RFC 9112 7.1: CRLF; a line feed alone ends the line for some
        ("1\na\r\n0\r\n\r\n", Malformed::Grammar),
        ("1\r\na\n0\r\n\r\n", Malformed::Grammar),
        ("1;a\nb\r\na\r\n0\r\n\r\n", Malformed::Grammar),
        ("1;a\rb\r\na\r\n0\r\n\r\n", Malformed::Grammar),
        ("1;a\0b\r\na\r\n0\r\n\r\n", Malformed::Grammar),
        ("1\r\nab\r\n0\r\n\r\n", Malformed::Grammar),
        ("1\r\na0\r\n\r\n", Malformed::Grammar),
        ("11111111111111111\r\na", Malformed::Grammar),
        ("0\r\na b: c\r\n\r\n", Malformed::Grammar),
        ("0\r\na: b\n\r\n", Malformed::Grammar),
        ("0\r\na: b\r\n\n", Malformed::Grammar),
        ("0\r\n\n", Malformed::Grammar),
        ("0\r\n: c\r\n\r\n", Malformed::Grammar),
        (&many, Malformed::TooLarge),
        (&long, Malformed::TooLarge),
        (&endless, Malformed::TooLarge),
        (&drop, Malformed::TooLarge),
        (&heavy, Malformed::TooLarge),
    ] {
        for cut in [1, 2, input.len().max(1)] {
            let outcome = decoded(Framing::Chunked, input.as_bytes(), cut);
            assert_eq!(outcome.err(), Some(expected), "{:.60} by {cut}", input);
        }
    }
    assert_eq!(decoded(Framing::Length(3), b"ab", 9).err(), Some(Malformed::Incomplete));
}

fn framing(fields: &str) -> Result<(Framing, bool), Malformed> {
    let head = format!("POST /a HTTP/1.1\r\nHost: a\r\n{fields}\r\nrest");
    let mut buf = BytesMut::from(head.as_bytes());
    let read = head::request(&mut buf)?.unwrap();
    assert_eq!(&buf[..], b"rest");
    Ok((read.framing, read.persistent))
}

#[test]
fn rfc_9112_6_3_one_framing_or_none() {
    for (fields, expected) in [
        ("", Ok((Framing::Length(0), true))),
        ("Content-Length: 7\r\n", Ok((Framing::Length(7), true))),
        ("Content-Length: 7\r\nContent-Length: 7\r\n", Ok((Framing::Length(7), true))),
        ("Transfer-Encoding: Chunked\r\n", Ok((Framing::Chunked, true))),
        // what is refused later, and read in one way until then
        ("Transfer-Encoding: gzip, chunked\r\n", Ok((Framing::Chunked, true))),
        ("Transfer-Encoding: chunked\r\nContent-Length: 7\r\n", Ok((Framing::Chunked, false))),
        ("Content-Length: 7\r\nTransfer-Encoding: chunked\r\n", Ok((Framing::Chunked, false))),
        ("Connection: close\r\n", Ok((Framing::Length(0), false))),
        ("Connection: x, Close\r\n", Ok((Framing::Length(0), false))),
        ("Transfer-Encoding: chunked, gzip\r\n", Err(Malformed::Framing)),
        ("Transfer-Encoding: \r\n", Err(Malformed::Framing)),
        ("Transfer-Encoding: xchunked\r\n", Err(Malformed::Framing)),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", Err(Malformed::Framing)),
        ("Content-Length: 7\r\nContent-Length: 8\r\n", Err(Malformed::Framing)),
        ("Content-Length: 7, 7\r\n", Err(Malformed::Framing)),
        ("Content-Length: +7\r\n", Err(Malformed::Framing)),
        ("Content-Length: \r\n", Err(Malformed::Framing)),
        ("Content-Length: 18446744073709551616\r\n", Err(Malformed::Framing)),
        ("Transfer-Encoding: chunked\r\nContent-Length: x\r\n", Err(Malformed::Framing)),
    ] {
        assert_eq!(framing(fields), expected, "{fields}");
    }
    let mut old = BytesMut::from(&b"POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"[..]);
    assert_eq!(head::request(&mut old).err(), Some(Malformed::Framing));
    let mut old = BytesMut::from(&b"GET /a HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"[..]);
    assert!(head::request(&mut old).unwrap().unwrap().persistent);
}

#[test]
fn an_answer_has_the_body_that_its_request_and_status_allow() {
    let read = |asked: &Method, head: &str| {
        let read = head::response(&mut BytesMut::from(head.as_bytes()), asked)?.unwrap();
        Ok::<_, Malformed>((read.framing, read.persistent))
    };
    let until_close = Ok((Framing::UntilClose, false));
    for (asked, head, expected) in [
        (Method::GET, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", Ok((Framing::Length(2), true))),
        (Method::HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", Ok((Framing::Length(0), true))),
        (Method::GET, "HTTP/1.1 304 X\r\nContent-Length: 2\r\n\r\n", Ok((Framing::Length(0), true))),
        (Method::GET, "HTTP/1.1 204 X\r\nContent-Length: 2\r\n\r\n", Ok((Framing::Length(0), true))),
        (Method::GET, "HTTP/1.1 103 X\r\n\r\n", Ok((Framing::Length(0), true))),
        (Method::GET, "HTTP/1.1 200 OK\r\n\r\n", until_close),
        (Method::GET, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n", Ok((Framing::Length(2), false))),
        (Method::GET, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Ok((Framing::Chunked, true))),
        (Method::GET, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", until_close),
        (
            Method::GET,
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n",
            Ok((Framing::Chunked, false)),
        ),
        (
            Method::GET,
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\n",
            Ok((Framing::Length(9), false)),
        ),
        (Method::GET, "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Err(Malformed::Framing)),
        (
            Method::GET,
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nContent-Length: 8\r\n\r\n",
            Err(Malformed::Framing),
        ),
        (Method::GET, "HTTP/1.1 2000 OK\r\n\r\n", Err(Malformed::Grammar)),
        (Method::GET, "HTTP/2 200 OK\r\n\r\n", Err(Malformed::Grammar)),
        (Method::GET, "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", Err(Malformed::Grammar)),
    ] {
        assert_eq!(read(&asked, head), expected, "{asked} {head}");
    }
}

#[test]
fn heads_that_break_the_grammar_or_are_too_large_are_refused() {
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(101));
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(70_000));
    for (head, expected) in [
        ("rubbish\r\n\r\n", Malformed::Grammar),
        ("GET / HTTP/3.0\r\n\r\n", Malformed::Grammar),
        ("GET  / HTTP/1.1\r\n\r\n", Malformed::Grammar),
        ("GET /a#b HTTP/1.1\r\n\r\n", Malformed::Grammar),
        ("GET /a?b#/../c HTTP/1.1\r\n\r\n", Malformed::Grammar),
        ("GET / HTTP/1.1\r\nA : b\r\n\r\n", Malformed::Grammar),
        ("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", Malformed::Grammar),
        ("GET / HTTP/1.1\r\nA: b\x01\r\n\r\n", Malformed::Grammar),
        ("GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", Malformed::Grammar),
        ("GET /\0 HTTP/1.1\r\n\r\n", Malformed::Grammar),
        // M.2 rule 6: a line feed alone is within a value for some, and ends it for others
        ("GET / HTTP/1.1\nHost: a\n\n", Malformed::Grammar),
        ("GET / HTTP/1.1\r\nA: b\nContent-Length: 9\r\n\r\n", Malformed::Grammar),
        ("GET / HTTP/1.1\r\nA: b\r\n\n", Malformed::Grammar),
        ("\nGET / HTTP/1.1\r\nA: b\r\n\r\n", Malformed::Grammar),
        (&many, Malformed::TooLarge),
        (&long, Malformed::TargetTooLong),
    ] {
        let outcome = head::request(&mut BytesMut::from(head.as_bytes()));
        assert_eq!(outcome.err(), Some(expected), "{head:.40}");
    }
    let mut part = BytesMut::from(&b"GET / HTTP/1.1\r\nHost: a\r\n"[..]);
    assert!(head::request(&mut part).unwrap().is_none());
    assert_eq!(part.len(), 25, "nothing is taken before all is there");
}

#[test]
fn what_is_written_is_read_again() {
    let mut headers = HeaderMap::new();
    headers.append("x-a", HeaderValue::from_static("1"));
    headers.append("x-b", HeaderValue::from_static("two words"));
    headers.append("x-a", HeaderValue::from_bytes(b"\xff").unwrap());
    let fields = Fields::from(&headers);
    assert_eq!(fields.to_map(), headers);
    // RFC 7541 6.2.3
    let mut secret = HeaderValue::from_static("s");
    secret.set_sensitive(true);
    let secret = HeaderMap::from_iter([(HOST, secret)]);
    assert!(Fields::from(&secret).to_map()[HOST].is_sensitive() && !fields.to_map()["x-a"].is_sensitive());
    let mut out = BytesMut::new();
    head::write_request(&mut out, &Method::DELETE, "/a?b", &fields);
    let read = head::request(&mut out).unwrap().unwrap();
    assert_eq!((read.method, read.uri.to_string(), &read.fields), (Method::DELETE, "/a?b".into(), &fields));
    assert!(out.is_empty());
    head::write_response(&mut out, http::StatusCode::IM_A_TEAPOT, &fields, |_| {});
    let read = head::response(&mut out, &Method::GET).unwrap().unwrap();
    assert_eq!((read.status, &read.fields), (http::StatusCode::IM_A_TEAPOT, &fields));
    for size in [1, 9, 10, 15, 16, 255, 256, 65_535, 1 << 20] {
        let mut out = BytesMut::new();
        write_chunk_size(&mut out, size);
        out.extend_from_slice(&vec![b'x'; size]);
        out.extend_from_slice(b"\r\n");
        write_last_chunk(&mut out, Some(&headers));
        let (data, trailers, left) = decoded(Framing::Chunked, &out, 4096).unwrap();
        assert_eq!((data.len(), left.len(), &trailers), (size, 0, &headers));
    }
}

fn written(fields: &Fields) -> String {
    let mut out = BytesMut::new();
    fields.write(&mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

#[test]
fn fields_go_out_as_they_came_in_but_for_space_and_case() {
    let head = "GET / HTTP/1.1\r\nA: 1\r\nB:2\r\nC:\r\nD: 4 \t\r\nE:\t 5\r\nHOST: h\r\na: 6\r\nF: \r\n\r\n";
    let fields = head::request(&mut BytesMut::from(head.as_bytes())).unwrap().unwrap().fields;
    let expected = "a: 1\r\nb: 2\r\nc: \r\nd: 4\r\ne: 5\r\nhost: h\r\na: 6\r\nf: \r\n";
    assert_eq!(written(&fields), expected);
    assert_eq!(fields.len(), 8);
}

/// What is asked, removed or said of one name leaves all others as they are: a map of the `http` crate says the same.
#[test]
fn fields_are_what_a_map_of_them_is() {
    let names = ["a", "bb", "content-length", "x-a", "x-aa"].map(|name| name.parse::<HeaderName>().unwrap());
    let line = (0..names.len(), "[ -~]{0,8}", 0..4u8);
    let few = proptest::test_runner::Config::with_cases(64);
    proptest::proptest!(few, |(lines in proptest::collection::vec(line, 0..12), read in 0..12usize)| {
        let read = &lines[..read.min(lines.len())];
        let came: String = read.iter().map(|(n, v, _)| format!("{}:{v}\r\n", names[*n])).collect();
        let head = format!("HTTP/1.1 304 x\r\n{came}\r\n");
        let mut fields = head::response(&mut BytesMut::from(head.as_bytes()), &Method::GET).unwrap().unwrap().fields;
        let mut map = HeaderMap::new();
        for (name, value, _) in read {
            map.append(&names[*name], HeaderValue::from_str(value.trim()).unwrap());
        }
        for (name, value, what) in &lines {
            let (name, value) = (&names[*name], HeaderValue::from_str(value).unwrap());
            match what {
                0 => {
                    map.remove(name);
                    fields.remove(name);
                }
                1 => {
                    fields.insert(name, &value);
                    map.insert(name, value);
                }
                2 => {
                    fields.append(name, &value);
                    map.append(name, value);
                }
                _ => {
                    fields.try_insert(name, value.as_bytes()).unwrap();
                    map.insert(name, value);
                }
            }
            proptest::prop_assert_eq!(fields.len(), map.len());
            for name in &names {
                let values: Vec<&[u8]> = map.get_all(name).iter().map(HeaderValue::as_bytes).collect();
                proptest::prop_assert_eq!(fields.all(name).collect::<Vec<_>>(), values);
                proptest::prop_assert_eq!(fields.one(name), map.one(name));
                proptest::prop_assert_eq!(fields.contains(name), map.contains_key(name));
            }
            proptest::prop_assert_eq!(&fields.to_map(), &map);
        }
        // what is written is read as the same
        let head = format!("HTTP/1.1 304 x\r\n{}\r\n", written(&fields));
        let again = head::response(&mut BytesMut::from(head.as_bytes()), &Method::GET).unwrap().unwrap().fields;
        let trimmed: Vec<(&[u8], &[u8])> = fields.iter().map(|(n, v)| (n, v.trim_ascii())).collect();
        proptest::prop_assert_eq!(again.iter().collect::<Vec<_>>(), trimmed);
    });
}

/// The parser vouches for names and values: what it takes is what `http` takes.
#[test]
fn a_field_is_made_of_what_its_type_is_made_of() {
    for byte in 0..=u8::MAX {
        let field = |name: &[u8], value: &[u8]| {
            let head = [b"GET / HTTP/1.1\r\n", name, b":", value, b"\r\n\r\n"].concat();
            head::request(&mut BytesMut::from(&head[..])).ok().flatten()
        };
        let name = [b'a', byte, b'b'];
        let is_name = HeaderName::from_bytes(&name).is_ok();
        // what stands behind a colon is the value
        assert_eq!(field(&name, b"c").is_some(), is_name || byte == b':', "{byte}");
        let value = [b'a', byte, b'b'];
        let is_value = HeaderValue::from_bytes(&value).is_ok();
        assert_eq!(field(b"a", &value).is_some(), is_value, "{byte}");
        assert_eq!(Fields::new().try_insert(&HOST, &value).is_ok(), is_value, "{byte}");
    }
}
