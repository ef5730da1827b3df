use super::{
    parcels::{Delivery, Post, RecordSink, Share},
    report::{Ending, TIME_BOUNDS},
    tally::Tally,
    trace::TraceParent,
};
use countersign_core::{MethodName, RequestId};
use std::{
    io,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

fn ending(code: &'static str, status: u16) -> Ending {
    Ending { method: Some(MethodName::ApiKey), code, status }
}

#[test]
fn endings_and_times_are_counted() {
    let tally = Tally::default();
    tally.ended(ending("allowed", 200), Duration::from_micros(90));
    tally.ended(ending("allowed", 200), Duration::from_micros(100));
    tally.ended(ending("key_expired", 401), Duration::from_secs(60));
    tally.answered(Duration::from_millis(3));
    let report = tally.report();
    assert_eq!(report.endings.get(&ending("allowed", 200)), Some(&2));
    assert_eq!(report.endings.get(&ending("key_expired", 401)), Some(&1));
    // a bound belongs to its own bucket, and what is beyond all of them to the last
    assert_eq!((report.whole.counts[0], report.whole.counts[TIME_BOUNDS.len()]), (2, 1));
    assert_eq!(report.whole.sum, Duration::from_micros(190) + Duration::from_secs(60));
    assert_eq!(report.upstream.counts.iter().sum::<u64>(), 1);
    assert!(TIME_BOUNDS.is_sorted());
}

#[test]
fn an_upstream_that_invents_statuses_does_not_fill_the_memory() {
    let tally = Tally::default();
    for status in 100..1000 {
        tally.ended(ending("allowed", status), Duration::ZERO);
    }
    let endings = tally.report().endings;
    assert!(endings.len() < 110, "{}", endings.len());
    assert_eq!(endings.values().sum::<u64>(), 900);
    assert_eq!(endings.get(&ending("allowed", 900)), Some(&100));
}

#[test]
fn a_share_is_taken_by_the_id() {
    let ids =
        || (0..=255u8).map(|n| RequestId([n.reverse_bits(), 0, 0, 0, 0, 0, 0, n, 0, 0, 0, 0, 0, 0, 0, 0]));
    let taken = |share: f64| ids().filter(|id| Share::new(share).takes(*id)).count();
    assert_eq!((taken(0.0), taken(1.0), taken(0.5), taken(0.25)), (0, 256, 128, 64));
    assert_eq!((taken(-1.0), taken(f64::NAN), taken(7.0)), (0, 0, 256));
    assert!(Share::ALL.takes(RequestId([0xff; 16])) && !Share::NONE.takes(RequestId([0; 16])));
}

/// W3C Trace Context 3.2.
#[test]
fn a_trace_id_is_one_or_none() {
    let id = "0af7651916cd43dd8448eb211c80319c";
    let of = |text: &str| TraceParent::parse(text.as_bytes()).map(|parent| parent.trace.to_owned());
    assert_eq!(of(&format!("00-{id}-b7ad6b7169203331-01")).as_deref(), Some(id));
    assert_eq!(of(&format!("cc-{id}-b7ad6b7169203331-01-later")).as_deref(), Some(id));
    for bad in [
        String::new(),
        "00".into(),
        format!("00-{id}-b7ad6b7169203331"),
        format!("00-{id}-b7ad6b7169203331-01-more"),
        format!("ff-{id}-b7ad6b7169203331-01"),
        format!("00-{}-b7ad6b7169203331-01", id.to_uppercase()),
        format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
        format!("00-{id}-0000000000000000-01"),
        format!("00-{id}g-b7ad6b7169203331-01"),
        format!("00-{id}-b7ad6b7169203331-0x"),
    ] {
        assert_eq!(of(&bad), None, "{bad}");
    }
}

/// Writes nothing until it may.
struct Gated(Arc<(Mutex<bool>, Condvar)>, Arc<Mutex<Vec<u8>>>);

impl RecordSink for Gated {
    fn write(&mut self, lines: &[u8], _: u64) -> io::Result<()> {
        let (open, opened) = &*self.0;
        let mut open = open.lock().unwrap();
        while !*open {
            open = opened.wait(open).unwrap();
        }
        self.1.lock().unwrap().extend_from_slice(lines);
        Ok(())
    }
}

#[test]
fn a_sink_that_is_stuck_holds_up_nobody_and_what_is_dropped_is_counted() {
    let (gate, written) = (Arc::<(Mutex<bool>, Condvar)>::default(), Arc::<Mutex<Vec<u8>>>::default());
    let post = Post::start("decisions", Box::new(Gated(gate.clone(), written.clone()))).unwrap();
    let outbox = post.outbox();
    let line = || format!("{{\"n\":\"{}\"}}\n", "x".repeat(1000)).into_bytes();
    let all = 5000;
    for _ in 0..all {
        outbox.put(line());
    }
    outbox.send();
    let dropped = outbox.dropped();
    assert!(dropped > 0, "nobody waited, so some found no room");
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    let delivered = post.delivered.clone();
    drop((outbox, post.queue));
    post.thread.join().unwrap();
    assert_eq!(delivered.read(dropped), Delivery { written: all - dropped, dropped, failed: 0 });
    let written = written.lock().unwrap();
    assert_eq!(written.iter().filter(|b| **b == b'\n').count() as u64, all - dropped);
    assert!(written.split_inclusive(|b| *b == b'\n').all(|one| one == line()), "whole lines only");
}

struct Broken;

impl RecordSink for Broken {
    fn write(&mut self, _: &[u8], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }
}

#[test]
fn what_cannot_be_written_is_counted_too() {
    let post = Post::start("decisions", Box::new(Broken)).unwrap();
    let outbox = post.outbox();
    outbox.put(b"{}\n".to_vec());
    outbox.put(b"{}\n".to_vec());
    let delivered = post.delivered.clone();
    drop((outbox, post.queue));
    post.thread.join().unwrap();
    assert_eq!(delivered.read(0), Delivery { written: 0, dropped: 0, failed: 2 });
}
