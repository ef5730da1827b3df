use super::{ALLOWANCE, EARNS, Flood, Frames, RENEWED};
use tokio::time::Instant;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0pingpong";
const WINDOW: &[u8] = b"\0\0\x04\x08\0\0\0\0\0\0\0\0\x01";

fn open(now: Instant) -> Frames {
    let mut frames = Frames::new(now);
    assert_eq!(frames.read(PREFACE, || panic!("no clock is read")), Ok(()));
    frames
}

/// How many of these it lets through.
fn most(frames: &mut Frames, bytes: &[u8], now: Instant) -> usize {
    (0..100_000).take_while(|_| frames.read(bytes, || now).is_ok()).count()
}

#[test]
fn frames_are_found_however_they_are_cut() {
    let now = Instant::now();
    // a payload that looks like frames, then a kind with an allowance
    let payload = [PING, PING, PING].concat();
    let mut data = vec![0, 0, u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0, 0, 1];
    data.extend_from_slice(&payload);
    let stream = [PREFACE, &data, WINDOW, WINDOW].concat();
    for size in [1, 2, 5, 8, 9, 10, 17, stream.len()] {
        let mut frames = Frames::new(now);
        for piece in stream.chunks(size) {
            assert_eq!(frames.read(piece, || now), Ok(()));
        }
        assert_eq!(frames.left, ALLOWANCE - 2, "cut into {size}");
    }
}

#[test]
fn an_allowance_ends_and_time_renews_it() {
    let now = Instant::now();
    let mut frames = open(now);
    let whole = usize::try_from(ALLOWANCE).unwrap();
    assert_eq!(most(&mut frames, WINDOW, now), whole);
    assert_eq!(frames.read(WINDOW, || now + RENEWED / 2), Err(Flood));
    assert_eq!(most(&mut frames, WINDOW, now + RENEWED), whole);
}

#[test]
fn work_earns_and_acknowledgements_do_not() {
    let now = Instant::now();
    let mut frames = open(now);
    let whole = most(&mut frames, WINDOW, now);
    frames.wrote(10 * EARNS);
    assert_eq!(most(&mut frames, WINDOW, now), 10);
    // no more than the whole is ever kept
    frames.wrote(1_000_000);
    assert_eq!(most(&mut frames, WINDOW, now), whole);

    let mut frames = open(now);
    let pings = (0..100_000).take_while(|_| {
        let answered = frames.read(PING, || now).is_ok();
        frames.wrote(PING.len());
        answered
    });
    assert_eq!(pings.count(), whole);
}
