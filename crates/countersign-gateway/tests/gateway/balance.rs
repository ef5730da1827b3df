//! Several addresses behind one upstream: who is asked, who is not, and how many at once.

use crate::support::{Act, Got, KEY, OK, PATIENCE, Rig, Upstream, code, fields, routes, status};
use countersign_gateway::{GatewayConfig, HealthCheck};
use countersign_testkit::eventually;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::net::TcpListener;

const SHORT: Duration = Duration::from_millis(80);

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// Nobody listens there any more.
async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// A gateway before `first` and `others`.
async fn before(first: Upstream, others: &[SocketAddr], change: impl FnOnce(&mut GatewayConfig)) -> Rig {
    Rig::with(first, routes(), |config| {
        config.upstreams[0].urls.extend(others.iter().map(|a| url(*a)));
        change(config);
    })
    .await
}

/// Requests of callers, without the checks of ours.
fn asked(upstream: &Upstream) -> usize {
    upstream.requests().iter().filter(|got| !got.line().contains("/healthz")).count()
}

async fn ok() -> Upstream {
    Upstream::start(|_| Act::answer(OK)).await
}

#[tokio::test]
async fn requests_are_shared_out_and_each_address_is_called_by_its_name() {
    let second = ok().await;
    let rig = before(ok().await, &[second.address], |_| {}).await;
    for _ in 0..10 {
        assert_eq!(status(&rig.get("/a", "").await), 200);
    }
    assert_eq!((asked(&rig.upstream), asked(&second)), (5, 5));
    for upstream in [&rig.upstream, &second] {
        assert_eq!(upstream.requests()[0].field("host"), [upstream.address.to_string()]);
    }
}

/// Nobody notices: what could not be connected was never sent, and goes elsewhere; after that nobody waits for it.
#[tokio::test]
async fn an_address_that_is_down_costs_no_request() {
    let gone = nobody().await;
    let rig = before(ok().await, &[gone, SocketAddr::from(([127, 0, 0, 99], gone.port()))], |_| {}).await;
    for n in 0..20 {
        let request =
            format!("POST /a HTTP/1.1\r\nHost: a.example\r\n{KEY}Content-Length: 3\r\nx-n: {n}\r\n\r\nabc");
        assert_eq!(status(&rig.send(request).await), 200);
    }
    assert_eq!(rig.upstream.requests().len(), 20);
    assert!(rig.upstream.requests().iter().all(|got| got.body() == b"abc"));
    assert_eq!(rig.upstream.requests()[0].field("host"), [rig.upstream.address.to_string()]);

    // it comes up, and is asked again without a restart
    let listener = TcpListener::bind(gone).await.unwrap();
    let accepted = tokio::spawn(async move { listener.accept().await.is_ok() });
    eventually(PATIENCE, || async {
        rig.get("/a", "").await;
        accepted.is_finished()
    })
    .await;
    assert!(accepted.await.unwrap());
}

/// What may have reached an upstream is nobody else's: a payment is not made twice.
#[tokio::test]
async fn what_was_sent_is_never_sent_elsewhere() {
    let second = Upstream::start(|_| Act::close("")).await;
    let rig = before(Upstream::start(|_| Act::close("")).await, &[second.address], |_| {}).await;
    for n in 1..=6 {
        let answer = rig.get("/a", "").await;
        assert_eq!((status(&answer), code(&answer).as_str()), (502, "upstream_failed"), "{answer}");
        assert_eq!(asked(&rig.upstream) + asked(&second), n);
    }
}

/// An address that takes connections and gives no answers is left alone after three of them.
#[tokio::test]
async fn an_address_that_does_not_speak_http_is_left_alone() {
    let second = Upstream::start(|_| Act::close("what?\r\n\r\n")).await;
    let rig = before(ok().await, &[second.address], |_| {}).await;
    let mut failed = 0;
    for _ in 0..20 {
        failed += usize::from(status(&rig.get("/a", "").await) == 502);
    }
    assert_eq!((failed, asked(&second)), (3, 3));
}

/// A status is an answer: whoever finds a request that makes the upstream say 500 must not take it down for others.
#[tokio::test]
async fn a_status_takes_nothing_out() {
    let bad = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n";
    let second = Upstream::start(move |_| Act::answer(bad)).await;
    let rig = before(ok().await, &[second.address], |_| {}).await;
    for _ in 0..20 {
        rig.get("/a", "").await;
    }
    assert_eq!((asked(&rig.upstream), asked(&second)), (10, 10));
}

/// When every address is out the upstream is still asked: an outage ends when it ends.
#[tokio::test]
async fn an_upstream_whose_addresses_are_all_out_is_still_asked() {
    let well = Arc::new(AtomicBool::new(false));
    let answers = well.clone();
    let script = move |_: &Got| {
        if answers.load(Ordering::SeqCst) { Act::answer(OK) } else { Act::close("what?\r\n\r\n") }
    };
    let second = Upstream::start(script.clone()).await;
    let rig = before(Upstream::start(script).await, &[second.address], |_| {}).await;
    for n in 1..=12 {
        assert_eq!(status(&rig.get("/a", "").await), 502);
        assert_eq!(asked(&rig.upstream) + asked(&second), n);
    }
    well.store(true, Ordering::SeqCst);
    assert_eq!(status(&rig.get("/a", "").await), 200);
}

#[tokio::test]
async fn checks_take_an_address_out_and_bring_it_back() {
    let well = Arc::new(AtomicBool::new(false));
    let answers = well.clone();
    let second = Upstream::start(move |got| {
        Act::answer(if got.line().contains("/healthz") && !answers.load(Ordering::SeqCst) {
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
        } else {
            OK
        })
    })
    .await;
    let rig = before(ok().await, &[second.address], |config| {
        config.upstreams[0].health =
            Some(HealthCheck { path: "/healthz".into(), every: Duration::from_millis(20) });
    })
    .await;
    eventually(PATIENCE, || async {
        let before = asked(&second);
        for _ in 0..4 {
            assert_eq!(status(&rig.get("/a", "").await), 200);
        }
        asked(&second) == before
    })
    .await;
    let check = second.requests().into_iter().find(|got| got.line().contains("/healthz")).unwrap();
    assert_eq!(check.line(), "GET /healthz HTTP/1.1");
    assert_eq!(check.field("host"), [second.address.to_string()]);
    well.store(true, Ordering::SeqCst);
    let before = asked(&second);
    eventually(PATIENCE, || async {
        assert_eq!(status(&rig.get("/a", "").await), 200);
        asked(&second) > before
    })
    .await;
}

/// A name, with all its addresses: of `localhost` one may have nobody behind it.
#[tokio::test]
async fn a_name_stands_for_its_addresses() {
    let rig = Rig::with(ok().await, routes(), |config| {
        let port = config.upstreams[0].urls[0].rsplit(':').next().unwrap().to_owned();
        config.upstreams[0].urls = vec![format!("http://localhost:{port}")];
    })
    .await;
    for _ in 0..5 {
        assert_eq!(status(&rig.get("/a", "").await), 200);
    }
    let host = format!("localhost:{}", rig.upstream.address.port());
    assert!(rig.upstream.requests().iter().all(|got| got.field("host") == [host.clone()]));
}

#[tokio::test]
async fn a_name_that_stands_for_nothing_is_502() {
    let rig = Rig::with(ok().await, routes(), |config| {
        config.upstreams[0].urls = vec!["http://nowhere.invalid:80".into()];
        config.timeouts.connect = Duration::from_secs(2);
    })
    .await;
    for _ in 0..3 {
        let answer = rig.get("/a", "").await;
        assert_eq!(status(&answer) / 100, 5, "{answer}");
        assert!(code(&answer).starts_with("upstream_"), "{answer}");
    }
}

/// One place, shared by both workers: the second request waits for it, and gets it.
#[tokio::test]
async fn who_does_not_fit_waits() {
    let rig = Rig::with(Upstream::held(OK).await, routes(), |config| {
        config.workers = 2;
        config.upstreams[0].limits.connections = Some(1);
    })
    .await;
    let asks: Vec<_> = (0..6).map(|_| rig.get("/a", "")).collect();
    let release = async {
        for n in 1..=6 {
            eventually(PATIENCE, || async { rig.upstream.requests().len() == n }).await;
            rig.upstream.hold.add_permits(1);
        }
    };
    let (answers, ()) = tokio::join!(futures_util::future::join_all(asks), release);
    assert!(answers.iter().all(|answer| status(answer) == 200), "{answers:?}");
}

#[tokio::test]
async fn who_waits_too_long_or_behind_too_many_is_told_to_come_back() {
    let rig = Rig::with(Upstream::held(OK).await, routes(), |config| {
        config.upstreams[0].limits.connections = Some(1);
        config.upstreams[0].limits.queue = 1;
        config.upstreams[0].limits.queue_time = SHORT;
    })
    .await;
    let mut first = rig.connect().await;
    first.write(format!("GET /a HTTP/1.1\r\nHost: a.example\r\n{KEY}\r\n")).await;
    eventually(PATIENCE, || async { rig.upstream.requests().len() == 1 }).await;
    let asks = (0..3).map(|_| rig.get("/a", ""));
    for answer in futures_util::future::join_all(asks).await {
        assert_eq!((status(&answer), code(&answer).as_str()), (503, "upstream_busy"), "{answer}");
        assert_eq!(fields(&answer, "retry-after"), ["1"]);
    }
    rig.upstream.hold.add_permits(2);
    assert_eq!(status(&first.answer().await), 200);
    // the place is free again
    assert_eq!(status(&rig.get("/a", "").await), 200);
    assert_eq!(rig.upstream.requests().len(), 2);
}

/// A caller that goes away while it waits, or while it is served, leaves no place taken.
#[tokio::test]
async fn who_goes_away_takes_no_place() {
    let silent = |got: &Got| if got.line().contains("/silent") { Act::Silence } else { Act::answer(OK) };
    let rig = Rig::with(Upstream::start(silent).await, routes(), |config| {
        config.upstreams[0].limits.connections = Some(1);
        config.upstreams[0].limits.queue = 1;
    })
    .await;
    let request = format!("GET /silent HTTP/1.1\r\nHost: a.example\r\n{KEY}\r\n");
    for n in 1..=3 {
        let mut served = rig.connect().await;
        served.write(&request).await;
        eventually(PATIENCE, || async { rig.upstream.requests().len() == n }).await;
        let mut waiting = rig.connect().await;
        waiting.write(&request).await;
        assert!(tokio::time::timeout(SHORT, waiting.stream.readable()).await.is_err(), "it waits");
        drop(waiting);
        drop(served);
        eventually(PATIENCE, || async { rig.upstream.open() == 0 }).await;
    }
    assert_eq!(status(&rig.get("/a", "").await), 200);
}
