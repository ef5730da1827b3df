use super::{
    super::{begin, goes_on, is_read},
    connected, head, requests,
};
use crate::listen::inlet::Broken;
use http_body::Body;
use http_body_util::BodyExt;
use std::{
    pin::Pin,
    task::{Context, Waker},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const EXPECTS: &[u8] = b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\n";
const GO_ON: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

#[tokio::test]
async fn an_expectation_is_met_when_the_body_is_asked_for_and_not_there() {
    // asked for, and not there
    let (_own, line, mut theirs) = connected(5);
    theirs.write_all(&EXPECTS[..5]).await.unwrap();
    let (_, asked) = tokio::join!(theirs.write_all(&EXPECTS[5..]), head(&line));
    let body = begin(&line, asked.unwrap().unwrap().framing, true, true);
    let caller = async {
        let mut said = [0; GO_ON.len()];
        theirs.read_exact(&mut said).await.unwrap();
        assert_eq!(said, GO_ON);
        theirs.write_all(b"abc").await.unwrap();
    };
    let (body, ()) = tokio::join!(body.collect(), caller);
    assert_eq!(body.unwrap().to_bytes(), "abc");
    assert!(line.borrow_mut().answer().0.is_empty() && goes_on(&line).await);

    // it did not wait, so there is nothing to say
    let (own, line, mut theirs) = connected(1024);
    theirs.write_all(&[EXPECTS, b"abc"].concat()).await.unwrap();
    let body = begin(&line, head(&line).await.unwrap().unwrap().framing, true, true);
    assert_eq!(body.collect().await.unwrap().to_bytes(), "abc");
    drop((own, line));
    let mut said = Vec::new();
    theirs.read_to_end(&mut said).await.unwrap();
    assert!(said.is_empty());

    // never asked for: whatever comes now may be a body or not
    let (_own, line, mut theirs) = connected(1024);
    theirs.write_all(EXPECTS).await.unwrap();
    let body = begin(&line, head(&line).await.unwrap().unwrap().framing, true, true);
    assert!(!goes_on(&line).await, "while somebody holds it");
    drop(body);
    assert!(!goes_on(&line).await);
    assert!(line.borrow_mut().answer().0.is_empty(), "what was not begun is not said any more");
}

/// Half of it stands on the line: the other half goes before the answer.
#[tokio::test]
async fn an_interim_answer_that_was_begun_is_ended() {
    let (_own, line, mut theirs) = connected(10);
    let (_, asked) = tokio::join!(theirs.write_all(EXPECTS), head(&line));
    let mut body = begin(&line, asked.unwrap().unwrap().framing, true, true);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut body).poll_frame(&mut cx).is_pending());
    assert_eq!(line.borrow_mut().answer().0, &GO_ON[10..]);
}

#[tokio::test]
async fn what_is_left_of_a_body_is_taken_where_it_is_there_and_not_much() {
    let small = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /next HTTP/1.1\r\n\r\n".to_vec();
    let part = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab".to_vec();
    let broken = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_vec();
    let mut large = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", 1 << 20).into_bytes();
    large.resize(large.len() + (1 << 20), b'x');
    for (input, expected) in [(small, true), (part, false), (broken, false), (large, false)] {
        let (_own, line, mut theirs) = connected(1 << 21);
        theirs.write_all(&input).await.unwrap();
        let body = begin(&line, head(&line).await.unwrap().unwrap().framing, false, true);
        assert!(goes_on(&line).await, "somebody may still read it");
        drop(body);
        assert_eq!((goes_on(&line).await, is_read(&line).await), (expected, expected));
        if expected {
            assert_eq!(head(&line).await.unwrap().unwrap().uri, "/next");
        }
    }
}

/// A body that is held beyond its answer reads nothing of the next request, and is told.
#[tokio::test]
async fn the_body_of_an_earlier_request_reads_nothing_more() {
    let (own, line, mut theirs) = connected(1024);
    theirs.write_all(b"POST / HTTP/1.1\r\nContent-Length: 30\r\n\r\n").await.unwrap();
    let mut body = begin(&line, head(&line).await.unwrap().unwrap().framing, false, true);
    let held = async { body.frame().await.unwrap().err() };
    let cutting = async {
        assert!(!is_read(&line).await);
        theirs.write_all(b"GET / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc").await.unwrap();
    };
    let (told, ()) = tokio::join!(held, cutting);
    assert_eq!(told, Some(Broken));
    assert!(body.size_hint().exact().is_none() && !body.is_end_stream());
    // nor does it keep the connection open
    drop(own);
    assert!(body.frame().await.unwrap().is_err());
    assert_eq!(theirs.read(&mut [0]).await.unwrap(), 0, "closed");
}

/// Pipelined requests are kept up to a bound, and an end behind them is no end before they are answered.
#[tokio::test]
async fn a_caller_is_gone_when_it_ends_and_asked_for_nothing_more() {
    let get = b"GET /a HTTP/1.1\r\n\r\n";
    for (more, expected) in [(&b""[..], true), (get, false)] {
        let (_own, line, mut theirs) = connected(1024);
        theirs.write_all(get).await.unwrap();
        let mut body = begin(&line, head(&line).await.unwrap().unwrap().framing, false, true);
        assert!(body.is_end_stream() && body.frame().await.is_none());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(line.borrow_mut().poll_gone(&mut cx).is_pending());
        theirs.write_all(more).await.unwrap();
        drop(theirs);
        assert_eq!(line.borrow_mut().poll_gone(&mut cx).is_ready(), expected);
        assert_eq!(line.borrow_mut().poll_gone(&mut cx).is_ready(), expected);
        assert_eq!(head(&line).await.unwrap().is_some(), !expected);
    }
    // who sends without reading is not read without end
    let (_own, line, mut theirs) = connected(1 << 20);
    theirs.write_all(get).await.unwrap();
    head(&line).await.unwrap().unwrap();
    theirs.write_all(&get.repeat(20_000)).await.unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(line.borrow_mut().poll_gone(&mut cx).is_pending());
    drop(theirs);
    let (left, _) = requests(&line).await;
    assert_eq!(left.len(), 20_000);
}
