use super::{
    super::{
        answer::{Answer, Asked, Ended, Output},
        send,
    },
    connected,
};
use crate::{enforce::reverse_proxy::Outgoing, http1::fields::Fields, listen::inlet::Broken};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version, header::TE};
use http_body::{Body, Frame, SizeHint};
use std::{
    cell::Cell,
    collections::VecDeque,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
};
use tokio::io::AsyncReadExt;

#[derive(Debug)]
struct Script {
    steps: VecDeque<Step>,
    exact: Option<u64>,
    polls: Rc<Cell<usize>>,
}

#[derive(Debug)]
enum Step {
    Data(Bytes),
    Trailers(HeaderMap),
    Wait,
    Fail,
}

impl Outgoing for Script {}

impl Body for Script {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.polls.set(self.polls.get() + 1);
        match self.steps.pop_front() {
            None => Poll::Ready(None),
            Some(Step::Data(data)) => Poll::Ready(Some(Ok(Frame::data(data)))),
            Some(Step::Trailers(trailers)) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Some(Step::Fail) => Poll::Ready(Some(Err(Broken))),
            Some(Step::Wait) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.exact.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

fn data(text: &str) -> Step {
    Step::Data(Bytes::copy_from_slice(text.as_bytes()))
}

fn script(exact: Option<u64>, steps: impl IntoIterator<Item = Step>) -> Script {
    Script { steps: steps.into_iter().collect(), exact, polls: Rc::default() }
}

fn asked(method: Method, version: Version, persistent: bool) -> Asked {
    let mut fields = Fields::new();
    fields.insert(&TE, &HeaderValue::from_static("x, Trailers"));
    Asked::new(&method, version, &fields, persistent)
}

/// The answer as it is read by a caller that takes so many bytes at once.
async fn told(response: Response<Script>, mut asked: Asked, size: usize) -> (Vec<u8>, Ended, bool) {
    let (own, line, mut theirs) = connected(size);
    let mut output = Output::default();
    let (parts, body) = response.into_parts();
    let head = (parts.status, Fields::from(&parts.headers));
    let answer = Answer::begin(head, &body, &mut asked, || 784_111_777, &mut output);
    let writing = async move {
        let ended = send(answer, &line, &mut output, body).await;
        drop(own);
        ended
    };
    let reading = async {
        let mut all = Vec::new();
        theirs.read_to_end(&mut all).await.unwrap();
        all
    };
    let (ended, all) = tokio::join!(writing, reading);
    (all, ended, asked.persistent)
}

const DATE: &str = "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";

#[tokio::test]
async fn an_answer_is_framed_once_and_in_a_way_that_its_caller_reads() {
    let (get, head) = (Method::GET, Method::HEAD);
    let (new, old) = (Version::HTTP_11, Version::HTTP_10);
    let none: Option<u64> = None;
    for (method, version, persistent, status, fields, exact, expected) in [
        (&get, new, true, 200, "", Some(2), "content-length: 2\r\n\r\nok"),
        (&get, new, false, 200, "", Some(2), "content-length: 2\r\nconnection: close\r\n\r\nok"),
        (&get, new, true, 200, "", none, "transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        (&get, old, true, 200, "", Some(2), "content-length: 2\r\nconnection: keep-alive\r\n\r\nok"),
        (&get, old, false, 200, "", Some(2), "content-length: 2\r\nconnection: close\r\n\r\nok"),
        (&get, old, true, 200, "", none, "connection: close\r\n\r\nok"),
        // what an answer said of its framing elsewhere is of no interest here
        (&get, new, true, 200, "content-length: 9", Some(2), "content-length: 2\r\n\r\nok"),
        (
            &get,
            new,
            true,
            200,
            "content-length: 9",
            none,
            "transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        ),
        (&get, new, true, 200, "transfer-encoding: gzip", Some(2), "content-length: 2\r\n\r\nok"),
        (&get, new, true, 200, "connection: x", Some(2), "content-length: 2\r\n\r\nok"),
        (
            &get,
            new,
            true,
            200,
            "connection: close",
            Some(2),
            "content-length: 2\r\nconnection: close\r\n\r\nok",
        ),
        (&head, new, true, 200, "", Some(2), "content-length: 2\r\n\r\n"),
        (&head, new, true, 200, "content-length: 9", Some(0), "content-length: 9\r\n\r\n"),
        (&head, new, true, 200, "", Some(0), "\r\n"),
        (&head, new, true, 200, "", none, "\r\n"),
        (&head, old, true, 200, "", none, "connection: keep-alive\r\n\r\n"),
        (&get, new, true, 204, "content-length: 0", none, "\r\n"),
        (&get, new, true, 304, "content-length: 9", Some(0), "content-length: 9\r\n\r\n"),
        (&get, new, true, 304, "", Some(0), "\r\n"),
        (&get, new, true, 101, "connection: upgrade", Some(0), "connection: upgrade\r\n\r\n"),
        (&get, new, false, 101, "connection: upgrade", Some(0), "connection: upgrade\r\n\r\n"),
    ] {
        let mut response = Response::builder().status(status);
        if let Some((name, value)) = fields.split_once(": ") {
            response = response.header(name, value);
        }
        let steps = if exact == Some(0) { vec![] } else { vec![data("ok")] };
        let response = response.body(script(exact, steps)).unwrap();
        let reason = response.status().canonical_reason().unwrap();
        let (all, ended, goes_on) = told(response, asked(method.clone(), version, persistent), 1 << 16).await;
        let all = String::from_utf8(all).unwrap();
        let row = format!("{method} {version:?} {status} {fields} {exact:?}");
        assert!(all.contains(DATE), "{row}: {all}");
        assert_eq!(all.replace(DATE, ""), format!("HTTP/1.1 {status} {reason}\r\n{expected}"), "{row}");
        assert_eq!(ended, Ended::Whole);
        assert_eq!(goes_on, persistent && !expected.contains("close"), "{row}");
    }
    // said once, and by who knows
    let response = Response::builder().header("date", "then").body(script(Some(0), [])).unwrap();
    let (all, ..) = told(response, asked(get, new, true), 1 << 16).await;
    assert_eq!(String::from_utf8(all).unwrap(), "HTTP/1.1 200 OK\r\ndate: then\r\ncontent-length: 0\r\n\r\n");
}

#[tokio::test]
async fn pieces_of_every_size_arrive_in_order() {
    let sizes = [1, 0, 15, 4096, 4097, 0, 20_000, 3, 70_000, 4096, 4096, 4096, 4096, 4096, 9];
    let mut sent = Vec::new();
    for exact in [true, false] {
        for size in [1, 7, 4096, 1 << 20] {
            sent.clear();
            let mut steps = Vec::new();
            for (n, length) in sizes.into_iter().enumerate() {
                let piece = vec![u8::try_from(n).unwrap() + b'a'; length];
                sent.extend_from_slice(&piece);
                steps.push(Step::Data(piece.into()));
                steps.push(Step::Wait);
            }
            let exact = exact.then_some(u64::try_from(sent.len()).unwrap());
            let response = Response::new(script(exact, steps));
            let (all, ended, _) = told(response, asked(Method::GET, Version::HTTP_11, true), size).await;
            let at = all.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
            let body = if exact.is_some() { all[at..].to_vec() } else { unchunked(&all[at..]) };
            assert!(body == sent && ended == Ended::Whole, "{size} at a time, {exact:?}");
        }
    }
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let at = body.windows(2).position(|w| w == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&body[..at]).unwrap(), 16).unwrap();
        all.extend_from_slice(&body[at + 2..at + 2 + size]);
        body = &body[at + 4 + size..];
        if size == 0 {
            assert!(body.is_empty());
            return all;
        }
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_does_not_look_whole() {
    let (new, old) = (Version::HTTP_11, Version::HTTP_10);
    for (version, exact, steps, ended, expected) in [
        (new, None, vec![data("ok"), Step::Fail], Ended::Broken, "2\r\nok\r\n"),
        (new, None, vec![Step::Wait, data("ok"), Step::Wait, Step::Fail], Ended::Broken, "2\r\nok\r\n"),
        (new, Some(5), vec![data("ok"), Step::Fail], Ended::Broken, "ok"),
        // shorter, or longer, than it was said to be
        (new, Some(5), vec![data("ok")], Ended::Broken, "ok"),
        (new, Some(3), vec![data("ok"), data("ok")], Ended::Broken, "ok"),
        (old, None, vec![data("ok"), Step::Fail], Ended::Endless, "ok"),
    ] {
        let row = format!("{version:?} {exact:?} {steps:?}");
        let response = Response::new(script(exact, steps));
        let (all, told, _) = told(response, asked(Method::GET, version, true), 1 << 16).await;
        let all = String::from_utf8(all).unwrap();
        assert_eq!((told, all.split_once("\r\n\r\n").unwrap().1), (ended, expected), "{row}");
    }
}

#[tokio::test]
async fn trailers_go_to_who_asked_for_them() {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-t", HeaderValue::from_static("1"));
    for (takes, version, end) in [
        (true, Version::HTTP_11, "2\r\nok\r\n0\r\nx-t: 1\r\n\r\n"),
        (false, Version::HTTP_11, "2\r\nok\r\n0\r\n\r\n"),
        (true, Version::HTTP_10, "ok"),
    ] {
        let response = Response::new(script(None, [data("ok"), Step::Trailers(trailers.clone())]));
        let mut fields = Fields::new();
        if takes {
            fields.insert(&TE, &HeaderValue::from_static("trailers"));
        }
        let asked = Asked::new(&Method::GET, version, &fields, true);
        let all = String::from_utf8(told(response, asked, 64).await.0).unwrap();
        assert_eq!(all.split_once("\r\n\r\n").unwrap().1, end);
    }
}

/// Whoever reads slowly is sent no faster, and whoever sends nothing for ever leaves the others their turn.
#[tokio::test]
async fn a_body_is_asked_for_no_faster_than_it_is_taken() {
    let (_own, line, mut theirs) = connected(64);
    let polls = Rc::new(Cell::new(0));
    let steps = (0..100).map(|_| Step::Data(vec![b'x'; 8192].into())).collect();
    let body = Script { steps, exact: None, polls: polls.clone() };
    let mut asked = asked(Method::GET, Version::HTTP_11, true);
    let mut output = Output::default();
    let answer = Answer::begin((StatusCode::OK, Fields::new()), &body, &mut asked, || 0, &mut output);
    let mut sending = pin!(send(answer, &line, &mut output, body));
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..10 {
        assert!(sending.as_mut().poll(&mut cx).is_pending());
    }
    assert_eq!(polls.get(), 1, "the first piece waits");
    let mut some = vec![0; 10_000];
    let taking = async {
        theirs.read_exact(&mut some).await.unwrap();
    };
    tokio::select! {
        _ = &mut sending => panic!("there is more"),
        () = taking => {}
    }
    assert!((2..=3).contains(&polls.get()), "{}", polls.get());

    let steps = (0..1000).map(|_| data("")).collect();
    let polls = Rc::new(Cell::new(0));
    let body = Script { steps, exact: None, polls: polls.clone() };
    let (_own, line, _theirs) = connected(1024);
    let mut output = Output::default();
    let answer = Answer::begin((StatusCode::OK, Fields::new()), &body, &mut asked, || 0, &mut output);
    let mut sending = pin!(send(answer, &line, &mut output, body));
    assert!(sending.as_mut().poll(&mut cx).is_pending());
    assert!(polls.get() < 500, "others have their turn");
    assert_eq!(sending.await, Ended::Whole);
}
