use super::{connected, requests};
use crate::http1::Malformed;
use tokio::io::AsyncWriteExt;

/// What is made of these bytes, where they come in pieces of this size.
async fn read(input: &[u8], piece: usize) -> (Vec<(String, String)>, Option<Malformed>) {
    let (own, line, mut theirs) = connected(piece);
    let writing = async move {
        // whoever refuses the rest is gone before it came
        let _ = theirs.write_all(input).await;
    };
    let reading = async move {
        let own = own;
        let requests = requests(&line).await;
        drop((own, line));
        requests
    };
    tokio::join!(writing, reading).1
}

#[tokio::test]
async fn requests_are_the_same_however_they_arrive() {
    let input = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n\r\n\
        POST /b HTTP/1.1\r\nContent-Length: 5\r\n\r\nGET /\
        PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;x\r\nq\r\n2\r\nrs\r\n0\r\nx-t: 1\r\n\r\n\
        GET /d HTTP/1.0\r\nHost: a\r\n\r\n\
        DELETE /e HTTP/1.1\r\nContent-Length: 0\r\n\r\n";
    let expected =
        [("GET /a", ""), ("POST /b", "GET /"), ("PUT /c", "qrs"), ("GET /d", ""), ("DELETE /e", "")];
    let expected: Vec<_> = expected.into_iter().map(|(a, b)| (a.to_owned(), b.to_owned())).collect();
    for piece in 1..=input.len() {
        assert_eq!(read(input, piece).await, (expected.clone(), None), "{piece} at a time");
    }
    // and whatever of it comes is read the same as in one piece
    for end in 0..input.len() {
        let (got, malformed) = read(&input[..end], 7).await;
        let whole = got.iter().filter(|(_, body)| body != "broken").count();
        assert_eq!((&got[..whole], malformed), (&expected[..whole], None), "{end} of it");
        assert!(got.len() <= whole + 1);
    }
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
    let blank = "\r\n".repeat(5);
    let long = format!("GET / HTTP/1.1\r\na: {}", "x".repeat(64 * 1024));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(101));
    let target = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(65_535));
    for (input, expected) in [
        ("rubbish\r\n\r\n", Malformed::Grammar),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Malformed::Grammar),
        ("\u{16}\u{3}\u{1}\0\u{5}\u{1}\0\0", Malformed::Grammar),
        ("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", Malformed::Framing),
        (&blank, Malformed::Grammar),
        (&long, Malformed::TooLarge),
        (&many, Malformed::TooLarge),
        (&target, Malformed::TooLarge),
    ] {
        for piece in [1, 1024, 1 << 20] {
            let (got, malformed) = read(input.as_bytes(), piece).await;
            assert!(got.is_empty(), "{input:.40}");
            // a buffer that holds the whole of a long target tells what is wrong with it
            let told = malformed == Some(expected) || malformed == Some(Malformed::TargetTooLong);
            assert!(told, "{input:.40} by {piece}: {malformed:?}");
        }
    }
    let good = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET  /b HTTP/1.1\r\n\r\n";
    let (got, malformed) = read(good, good.len()).await;
    assert_eq!((got.len(), malformed), (1, Some(Malformed::Grammar)), "the first is none the worse for it");
}

/// Nothing here waits for ever, panics, or reads past the end; always the same bytes, so that a failure comes again.
#[tokio::test]
async fn bytes_of_any_kind_end_in_requests_or_a_refusal() {
    const PARTS: [&[u8]; 24] = [
        b"GET ",
        b"POST ",
        b"/",
        b"*",
        b" HTTP/1.1\r\n",
        b" HTTP/1.0\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b"Host: a\r\n",
        b"Content-Length: 3\r\n",
        b"Content-Length: ",
        b"Transfer-Encoding: chunked\r\n",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        b"ffffffffffffffff\r\n",
        b";",
        b"abc",
        b": ",
        b"\0",
        b"\xff\xfe",
        b"\t",
        b" ",
        b"9",
    ];
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed >> 33).unwrap()
    };
    let mut kinds = [0; 3];
    for _ in 0..4000 {
        // many begin well, or nothing would come further than the first line
        let begins: [&[u8]; 3] =
            [b"", b"GET / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"];
        let mut input = begins[next() % begins.len()].to_vec();
        for _ in 0..next() % 24 {
            input.extend_from_slice(PARTS[next() % PARTS.len()]);
        }
        let (got, malformed) = read(&input, 1 + next() % 64).await;
        assert!(got.len() <= input.len());
        kinds[if malformed.is_some() { 0 } else { usize::from(!got.is_empty()) + 1 }] += 1;
    }
    assert!(kinds.iter().all(|kind| *kind > 20), "every outcome is tried: {kinds:?}");
}
