//! Callers that send what costs them little and us much (RFC 9113 10.5, M.2 rule 6): each is closed, and who calls beside
//! it is answered.

use crate::{
    support::{Act, KEY, OK, PATIENCE, Rig, Upstream, drip, routes, status},
    tls::{
        CONTINUATION, END_HEADERS, END_STREAM, Frames, GET, GOAWAY, HEADERS, RST_STREAM, SETTINGS, Tls, block,
    },
};
use countersign_testkit::eventually;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const DATA: u8 = 0;
const PRIORITY: u8 = 2;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;

const POST: [(&str, &str); 5] = [
    (":method", "POST"),
    (":scheme", "https"),
    (":path", "/a"),
    (":authority", "localhost"),
    ("x-api-key", "good"),
];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A caller that does nothing wrong, on a connection of its own from beginning to end.
struct Honest(Frames, u32);

impl Honest {
    async fn open(tls: &Tls) -> Self {
        Self(Frames::open(tls).await, 1)
    }

    async fn is_answered(&mut self) {
        let stream = self.1;
        assert!(self.0.send(HEADERS, END_HEADERS | END_STREAM, stream, &block(&GET)).await);
        let answer = self.0.next(&[HEADERS, RST_STREAM, GOAWAY]).await;
        assert_eq!(answer, Some((HEADERS, stream)), "who calls beside a flood");
        self.1 += 2;
    }
}

const MOST: usize = 200_000;

/// Sends it until the other side closes, and reads what comes; how many bytes came.
async fn closes(tls: &Tls, first: &[u8], more: impl Fn(u32) -> Vec<u8>) -> usize {
    let (mut reader, mut writer) = tokio::io::split(Frames::open(tls).await.0);
    let reading = tokio::spawn(async move {
        let (mut came, mut buffer) = (0, vec![0; 16 * 1024]);
        while let Ok(n @ 1..) = reader.read(&mut buffer).await {
            came += n;
        }
        came
    });
    let sending = async {
        writer.write_all(first).await.ok()?;
        let mut sent = 0;
        while sent < MOST && !reading.is_finished() {
            let batch: Vec<u8> = (sent..sent + 64).flat_map(|n| more(u32::try_from(n).unwrap())).collect();
            writer.write_all(&batch).await.ok()?;
            sent += 64;
        }
        Some(sent)
    };
    let sent = tokio::time::timeout(PATIENCE, sending).await.unwrap();
    assert!(sent.is_none_or(|sent| sent < MOST), "a flood of {MOST} frames went on");
    tokio::time::timeout(PATIENCE, reading).await.unwrap().unwrap()
}

async fn behind_ok() -> Tls {
    Tls::behind(Upstream::start(|_| Act::answer(OK)).await, |_| {}).await
}

#[tokio::test]
async fn m2_6_frames_that_are_no_work_end_the_connection() {
    let tls = behind_ok().await;
    let mut honest = Honest::open(&tls).await;
    let stream = |n: u32| 2 * n + 1;
    let open = frame(HEADERS, END_HEADERS, 1, &block(&POST));
    type More = Box<dyn Fn(u32) -> Vec<u8>>;
    let always = |kind, flags, stream, payload: &'static [u8]| -> More {
        Box::new(move |_| frame(kind, flags, stream, payload))
    };
    let floods: [(&str, &[u8], More); 11] = [
        ("PING (CVE-2019-9512)", &[], always(PING, 0, 0, &[7; 8])),
        ("PING acknowledged that nobody sent", &[], always(PING, ACK, 0, &[7; 8])),
        ("SETTINGS (CVE-2019-9515)", &[], always(SETTINGS, 0, 0, &[])),
        ("SETTINGS that change the window", &[], always(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0])),
        ("SETTINGS acknowledged that nobody sent", &[], always(SETTINGS, ACK, 0, &[])),
        ("PRIORITY (CVE-2019-9513)", &[], Box::new(move |n| frame(PRIORITY, 0, stream(n), &[0, 0, 0, 0, 9]))),
        ("WINDOW_UPDATE", &[], always(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ("WINDOW_UPDATE of a stream", &open, always(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])),
        ("empty DATA (CVE-2019-9518)", &open, always(DATA, 0, 1, &[])),
        ("DATA that is padding", &open, always(DATA, 8, 1, &[0])),
        ("a kind that nobody knows", &[], always(0xbe, 0, 0, &[])),
    ];
    for (what, first, more) in floods {
        honest.is_answered().await;
        let came = closes(&tls, first, more).await;
        assert!(came < 128 * 1024, "{what}: {came} bytes came back");
        honest.is_answered().await;
    }
}

/// Whoever reads nothing gets no more than fits on the way: what is owed does not pile up here.
#[tokio::test]
async fn m2_6_pings_of_one_who_reads_nothing_end_the_connection() {
    let tls = behind_ok().await;
    let mut honest = Honest::open(&tls).await;
    for (kind, payload) in [(PING, &[7; 8][..]), (SETTINGS, &[])] {
        let mut frames = Frames::open(&tls).await;
        let sending = async { while frames.send(kind, 0, 0, payload).await {} };
        tokio::time::timeout(PATIENCE, sending).await.unwrap();
        honest.is_answered().await;
    }
}

/// Pings, windows and settings in the measure that busy callers send them.
#[tokio::test]
async fn a_busy_connection_is_no_flood() {
    let tls = behind_ok().await;
    let mut honest = Honest::open(&tls).await;
    for n in 0..2_000 {
        honest.is_answered().await;
        assert!(honest.0.send(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 2]).await);
        assert!(honest.0.send(WINDOW_UPDATE, 0, honest.1 - 2, &[0, 0, 0, 2]).await);
        if n % 4 == 0 {
            assert!(honest.0.send(PING, 0, 0, &[7; 8]).await);
        }
    }
}

/// CVE-2025-8671 (`MadeYouReset`): the caller never resets a stream, it makes us do it.
#[tokio::test]
async fn m2_6_resets_that_we_are_made_to_send_end_the_connection() {
    let open = |stream, flags| frame(HEADERS, END_HEADERS | flags, stream, &block(&POST));
    type Trigger = fn(u32) -> Vec<u8>;
    let triggers: [(&str, u8, Trigger); 7] = [
        ("a window of 0", END_STREAM, |n| frame(WINDOW_UPDATE, 0, n, &[0; 4])),
        ("a window that overflows", END_STREAM, |n| frame(WINDOW_UPDATE, 0, n, &[0x7f, 0xff, 0xff, 0xff])),
        ("PRIORITY on itself", END_STREAM, |n| {
            frame(PRIORITY, 0, n, &[n.to_be_bytes().as_slice(), &[9]].concat())
        }),
        ("PRIORITY of 4 bytes", END_STREAM, |n| frame(PRIORITY, 0, n, &[0; 4])),
        ("DATA after the end", END_STREAM, |n| frame(DATA, 0, n, b"more")),
        ("HEADERS after the end", END_STREAM, |n| frame(HEADERS, END_HEADERS, n, &block(&POST))),
        ("trailers that are not the end", 0, |n| frame(HEADERS, END_HEADERS, n, &block(&[("x-a", "b")]))),
    ];
    for (what, flags, trigger) in triggers {
        let tls = Tls::behind(
            Upstream::start(|got| if got.text().contains("POST") { Act::Silence } else { Act::answer(OK) })
                .await,
            |_| {},
        )
        .await;
        let mut honest = Honest::open(&tls).await;
        honest.is_answered().await;
        closes(&tls, &[], |n| [open(2 * n + 1, flags), trigger(2 * n + 1)].concat()).await;
        honest.is_answered().await;
        let begun = tls.rig.upstream.requests().len();
        assert!(begun < 300, "{what}: {begun} requests began upstream");
    }
}

/// A small block that refers again and again to one large entry of the table (RFC 7541 7.3).
#[tokio::test]
async fn m2_6_a_field_block_that_unpacks_to_much_is_refused() {
    let tls = behind_ok().await;
    let mut honest = Honest::open(&tls).await;
    let mut bomb = block(&GET);
    // RFC 7541 6.2.1, 5.1: into the table, a value of 4000 bytes: 127 + 33 + 30 * 128
    bomb.extend_from_slice(&[0x40, 1, b'x', 0x7f, 0xa1, 0x1e]);
    bomb.extend_from_slice(&[b'a'; 4000]);
    bomb.resize(16 * 1024, 0x80 | 62);
    let mut frames = Frames::open(&tls).await;
    for n in 0..50 {
        honest.is_answered().await;
        if !frames.send(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, &bomb).await {
            break;
        }
        // 431, or the end
        if matches!(frames.next(&[HEADERS, RST_STREAM, GOAWAY]).await, None | Some((GOAWAY, _))) {
            break;
        }
    }
    let reached = tls.rig.upstream.requests().iter().filter(|got| !got.field("x").is_empty()).count();
    assert_eq!(reached, 0);
}

/// Blocks that never end, of frames that hold nothing (CVE-2019-9518 and the CONTINUATION kin).
#[tokio::test]
async fn m2_6_empty_continuations_end_the_connection() {
    let tls = behind_ok().await;
    let mut honest = Honest::open(&tls).await;
    let first = frame(HEADERS, END_STREAM, 1, &block(&GET));
    closes(&tls, &first, |_| frame(CONTINUATION, 0, 1, &[])).await;
    honest.is_answered().await;
    assert_eq!(tls.rig.upstream.requests().len(), 1);
}

/// Accepted one by one, so that the library's own count of resets before acceptance sees none of them.
#[tokio::test]
async fn m2_6_patient_resets_end_the_connection() {
    let script = |got: &crate::support::Got| {
        if got.line().starts_with("POST") { Act::Silence } else { Act::answer(OK) }
    };
    let tls = Tls::behind(Upstream::start(script).await, |_| {}).await;
    let mut honest = Honest::open(&tls).await;
    let mut frames = Frames::open(&tls).await;
    let mut begun = 0;
    while begun < 1_000 {
        let stream = 2 * begun + 1;
        let sent = frames.send(HEADERS, END_HEADERS | END_STREAM, stream, &block(&POST)).await
            // answered once everything before it was looked at
            && frames.send(PING, 0, 0, &[7; 8]).await
            && frames.next(&[PING]).await.is_some()
            && frames.send(RST_STREAM, 0, stream, &[0, 0, 0, 8]).await;
        if !sent {
            break;
        }
        begun += 1;
    }
    assert!(begun < 500, "{begun} requests were begun and given up");
    honest.is_answered().await;
}

/// A handshake byte by byte is given no more time than one that does not come.
#[tokio::test]
async fn a_slow_handshake_is_closed() {
    let upstream = Upstream::start(|_| Act::answer(OK)).await;
    let tls = Tls::behind(upstream, |c| c.timeouts.tls_handshake = Duration::from_millis(200)).await;
    let mut honest = Honest::open(&tls).await;
    let mut client = tls.rig.connect().await;
    // a record of 16 KiB that begins like a ClientHello
    client.write([22, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc, 3, 3]).await;
    drip(&mut client, b"\0").await;
    honest.is_answered().await;
}

/// A limit that is filled with connections which do nothing keeps nobody out, and who is at work stays.
#[tokio::test]
async fn idle_connections_make_room() {
    let upstream = Upstream::held(OK).await;
    let rig = Rig::with(upstream, routes(), |config| config.limits.connections = 3).await;
    let mut busy = rig.connect().await;
    busy.write(format!("GET /a HTTP/1.1\r\nHost: a.example\r\n{KEY}\r\n")).await;
    eventually(PATIENCE, || async { rig.upstream.requests().len() == 1 }).await;
    let mut silent = rig.connect().await;
    let mut slow = rig.connect().await;
    slow.write("GET /a HT").await;
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(rig.connect().await);
    }
    rig.upstream.hold.add_permits(2);
    let answer = rig.get("/a", "").await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert_eq!(status(&busy.answer().await), 200);
    assert!(silent.rest().await.is_empty() && slow.rest().await.is_empty());
}

/// A head byte by byte is given no more time than one that stops.
#[tokio::test]
async fn a_slow_head_is_closed() {
    let upstream = Upstream::start(|_| Act::answer(OK)).await;
    let rig = Rig::with(upstream, routes(), |c| c.timeouts.head = Duration::from_millis(200)).await;
    let mut client = rig.connect().await;
    client.write(format!("GET /a HTTP/1.1\r\nHost: a.example\r\n{KEY}x-slow: ")).await;
    drip(&mut client, b"a").await;
    assert!(client.buffer.is_empty());
    assert_eq!(status(&rig.get("/a", "").await), 200);
    assert_eq!(rig.upstream.requests().len(), 1);
}

/// A body that stops is answered, and holds nothing of the upstream.
#[tokio::test]
async fn a_body_that_stops_is_closed() {
    let upstream = Upstream::start(|_| Act::answer(OK)).await;
    let rig = Rig::with(upstream, routes(), |c| c.timeouts.body = Duration::from_millis(100)).await;
    let mut client = rig.connect().await;
    client.write(format!("POST /a HTTP/1.1\r\nHost: a.example\r\n{KEY}Content-Length: 9\r\n\r\nabc")).await;
    assert_eq!(status(&rig.get("/a", "").await), 200);
    let answer = client.answer().await;
    assert_eq!(status(&answer), 408, "{answer}");
    assert!(client.rest().await.is_empty());
}
