//! Another configuration while requests are under way: each is judged and forwarded by one of them.

use crate::support::{Act, Client, KEY, OK, PATIENCE, Rig, Upstream, code, needs, routes, status};
use countersign_core::check::route::{Route, SecurityRequirement};
use countersign_gateway::{ForwardedHeader, ListenerConfig, Peers, StartError, Trusted, UpstreamLimits};
use countersign_testkit::eventually;
use std::{net::SocketAddr, time::Duration};

const OTHER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother";

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a.example\r\n{KEY}\r\n")
}

async fn ask(client: &mut Client, target: &str) -> String {
    client.write(get(target)).await;
    client.answer().await
}

fn url(upstream: &Upstream) -> Vec<String> {
    vec![format!("http://{}", upstream.address)]
}

fn listed(network: &str) -> Peers {
    Peers { networks: [network.parse().unwrap()].into(), unix: false }
}

#[tokio::test]
async fn what_is_in_flight_ends_where_it_began_and_the_next_request_goes_elsewhere() {
    let mut rig = Rig::with(Upstream::held(OK).await, routes(), |_| {}).await;
    let other = Upstream::start(|_| Act::answer(OTHER)).await;
    let mut waiting = rig.connect().await;
    waiting.write(get("/a")).await;
    eventually(PATIENCE, || async { rig.upstream.requests().len() == 1 }).await;
    // the route that it came by is gone too
    rig.reload(vec![Route::new("/b", "api", needs(""))], |config| config.upstreams[0].urls = url(&other))
        .await
        .unwrap();
    let mut fresh = rig.connect().await;
    assert!(ask(&mut fresh, "/b").await.ends_with("other"));
    let gone = ask(&mut fresh, "/a").await;
    assert_eq!((status(&gone), code(&gone).as_str()), (404, "route_unknown"));
    rig.upstream.hold.add_permits(1);
    assert!(waiting.answer().await.ends_with("ok"), "by the upstream that it went to");
    // the same connection of the caller's, and the new configuration
    assert!(ask(&mut waiting, "/b").await.ends_with("other"));
    assert_eq!(status(&ask(&mut waiting, "/a").await), 404);
    // what nobody uses any more is closed
    eventually(PATIENCE, || async { rig.upstream.open() == 0 }).await;
}

#[tokio::test]
async fn an_answer_under_way_is_read_to_its_end() {
    let first = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst".to_vec();
    let upstream = Upstream::with_hold(
        move |_| Act::Pieces(first.clone(), b"-last".to_vec()),
        std::sync::Arc::new(tokio::sync::Semaphore::new(1)),
    );
    let mut rig = Rig::with(upstream.await, routes(), |_| {}).await;
    let mut client = rig.connect().await;
    client.write(get("/a")).await;
    let head = client.answer_to(true).await;
    assert!(head.starts_with(b"HTTP/1.1 200"));
    rig.reload(vec![Route::new("/b", "none", needs(""))], |config| config.upstreams.clear()).await.unwrap();
    rig.upstream.hold.add_permits(1);
    eventually(PATIENCE, || {
        let _ = client.stream.try_read_buf(&mut client.buffer);
        let done = client.buffer == b"first-last";
        async move { done }
    })
    .await;
}

#[tokio::test]
async fn an_upstream_that_stays_keeps_its_connections() {
    let mut rig = Rig::plain().await;
    assert_eq!(status(&rig.get("/a", "").await), 200);
    rig.reload(routes(), |config| config.key_headers.push("x-other-key".parse().unwrap())).await.unwrap();
    let stripped = rig.get("/a", "x-other-key: secret\r\n").await;
    assert_eq!(status(&stripped), 200);
    let requests = rig.upstream.requests();
    assert!(requests[1].field("x-other-key").is_empty(), "{requests:?}");
    assert_eq!(requests[1].connection, requests[0].connection);
}

/// Otherwise a reload would let twice as many in.
#[tokio::test]
async fn who_is_at_an_upstream_counts_on() {
    let one = UpstreamLimits { connections: Some(1), queue: 0, queue_time: Duration::from_secs(5) };
    let mut rig =
        Rig::with(Upstream::held(OK).await, routes(), |config| config.upstreams[0].limits = one).await;
    let mut waiting = rig.connect().await;
    waiting.write(get("/a")).await;
    eventually(PATIENCE, || async { rig.upstream.requests().len() == 1 }).await;
    let address = rig.upstream.address;
    rig.reload(routes(), |config| {
        config.upstreams[0].urls = vec![format!("http://localhost:{}", address.port())];
    })
    .await
    .unwrap();
    let busy = rig.get("/a", "").await;
    assert_eq!((status(&busy), code(&busy).as_str()), (503, "upstream_busy"));
    rig.upstream.hold.add_permits(2);
    assert_eq!(status(&waiting.answer().await), 200);
    assert_eq!(status(&rig.get("/a", "").await), 200);
}

/// RULES 3.1, on connections that were there before.
#[tokio::test]
async fn rules_3_1_a_peer_that_is_trusted_no_more_is_believed_no_more() {
    let entry = Trusted { peers: listed("127.0.0.0/8"), headers: vec![ForwardedHeader::For] };
    let upstream = Upstream::start(|_| Act::answer(OK)).await;
    let trusting = vec![entry];
    let mut rig =
        Rig::with(upstream, routes(), |config| config.listeners[0].trusted = trusting.clone().into()).await;
    let mut client = rig.connect().await;
    let request = "GET /open/a HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n";
    let mut seen = Vec::new();
    for trusted in [None, Some(Vec::new()), Some(trusting)] {
        if let Some(trusted) = trusted {
            rig.reload(routes(), |config| config.listeners[0].trusted = trusted.into()).await.unwrap();
        }
        client.write(request).await;
        assert_eq!(status(&client.answer().await), 200);
        seen.extend(rig.upstream.requests().pop().unwrap().field("x-forwarded-for"));
    }
    assert_eq!(seen, ["192.0.2.7", "127.0.0.1", "192.0.2.7"]);
}

/// A caller that a balancer named is nobody's word any more once the balancer is listed no more.
#[tokio::test]
async fn rules_3_1_a_connection_of_a_peer_that_is_listed_no_more_ends() {
    let upstream = Upstream::start(|_| Act::answer(OK)).await;
    let mut rig = Rig::with(upstream, routes(), |config| {
        config.listeners[0].proxy_protocol = listed("127.0.0.0/8");
    })
    .await;
    let mut client = rig.connect().await;
    client.write("PROXY TCP4 192.0.2.7 10.0.0.1 40000 443\r\n").await;
    assert_eq!(status(&ask(&mut client, "/open/a").await), 200);
    rig.reload(routes(), |config| config.listeners[0].proxy_protocol = Peers::default()).await.unwrap();
    let last = ask(&mut client, "/open/a").await;
    assert!(last.to_ascii_lowercase().contains("connection: close"), "{last}");
    let seen: Vec<String> =
        rig.upstream.requests().iter().flat_map(|got| got.field("x-forwarded-for")).collect();
    assert_eq!(seen, ["192.0.2.7", "127.0.0.1"]);
    assert!(client.rest().await.is_empty());
}

#[tokio::test]
async fn the_limits_of_a_listener_hold_for_the_next_request() {
    let mut rig = Rig::plain().await;
    let mut client = rig.connect().await;
    let post = format!("POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\n{KEY}\r\nbody");
    client.write(&post).await;
    assert_eq!(status(&client.answer().await), 200);
    rig.reload(routes(), |config| config.limits.body = 3).await.unwrap();
    client.write(&post).await;
    assert_eq!(code(&client.answer().await), "body_too_large");
}

#[tokio::test]
async fn what_cannot_serve_changes_nothing() {
    let mut rig = Rig::plain().await;
    let more = ListenerConfig::new("127.0.0.1:0".parse::<SocketAddr>().unwrap());
    let public = || vec![Route::new("/*", "api", SecurityRequirement::Public)];
    let refused = [
        rig.reload(public(), |config| config.listeners.push(more)).await,
        rig.reload(public(), |config| config.upstreams[0].urls = vec!["ftp://a".into()]).await,
        rig.reload(public(), |config| config.upstreams.push(config.upstreams[0].clone())).await,
        rig.reload(public(), |config| config.key_headers.push("x-forwarded-user".parse().unwrap())).await,
    ];
    assert!(
        matches!(
            refused,
            [
                Err(StartError::OtherListeners),
                Err(StartError::Upstream { .. }),
                Err(StartError::DoubledUpstream(_)),
                Err(StartError::ReservedHeader(_)),
            ]
        ),
        "{refused:?}"
    );
    let answer = rig.send("GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n").await;
    assert_eq!(status(&answer), 401, "the routes of before: {answer}");
}

/// Whoever asks an address how it is does not outlive the upstream.
#[tokio::test]
async fn checks_go_with_their_upstream() {
    let mut rig = Rig::with(Upstream::start(|_| Act::answer(OK)).await, routes(), |config| {
        let every = Duration::from_millis(20);
        config.upstreams[0].health =
            Some(countersign_gateway::HealthCheck { path: "/healthz".into(), every });
    })
    .await;
    eventually(PATIENCE, || async { rig.upstream.requests().len() > 1 }).await;
    let other = Upstream::start(|_| Act::answer(OK)).await;
    rig.reload(routes(), |config| config.upstreams[0].urls = url(&other)).await.unwrap();
    eventually(PATIENCE, || async { other.requests().len() > 1 && rig.upstream.open() == 0 }).await;
    let before = rig.upstream.requests().len();
    let asked = other.requests().len();
    eventually(PATIENCE, || async { other.requests().len() > asked + 3 }).await;
    assert_eq!(rig.upstream.requests().len(), before);
}

/// What was permitted goes on as it began.
#[tokio::test]
async fn a_tunnel_outlives_its_route_and_its_upstream() {
    let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let upstream = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = upstream.local_addr().unwrap();
    let mut rig = Rig::with(Upstream::start(|_| Act::answer(OK)).await, routes(), |config| {
        config.upstreams[0].urls = vec![format!("http://{address}")];
    })
    .await;
    let mut caller = rig.connect().await;
    let ask = format!(
        "GET /chat HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{KEY}\r\n"
    );
    caller.write(ask).await;
    let mut peer = Client { stream: upstream.accept().await.unwrap().0, buffer: Vec::new() };
    assert!(!peer.answer_to(true).await.is_empty());
    peer.write(switch).await;
    assert!(caller.answer_to(true).await.starts_with(b"HTTP/1.1 101"));
    rig.reload(vec![Route::new("/b", "none", needs(""))], |config| config.upstreams.clear()).await.unwrap();
    // each way, with an end that looks like one of a head
    caller.write("to the upstream\r\n\r\n").await;
    assert_eq!(peer.answer_to(true).await, b"to the upstream\r\n\r\n");
    peer.write("and back\r\n\r\n").await;
    assert_eq!(caller.answer_to(true).await, b"and back\r\n\r\n");
    drop(peer);
    assert!(caller.rest().await.is_empty());
}

/// Everything that can change does, again and again, under callers that stay and callers that come anew.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_everything_changes() {
    const CALLERS: usize = 8;
    const REQUESTS: usize = 400;
    let mut rig = Rig::with(Upstream::start(|_| Act::answer(OK)).await, routes(), |config| {
        config.workers = 2;
        config.upstreams[0].limits.connections = Some(64);
    })
    .await;
    let other = Upstream::start(|_| Act::answer(OTHER)).await;
    let (address, done) = (rig.address, std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0)));
    let callers: Vec<_> = (0..CALLERS)
        .map(|n| {
            let done = done.clone();
            tokio::spawn(async move {
                let connect = || async {
                    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
                    stream.set_nodelay(true).unwrap();
                    Client { stream, buffer: Vec::new() }
                };
                let mut client = connect().await;
                let (mut ok, mut other) = (0, 0);
                for request in 0..REQUESTS {
                    if n % 2 == 0 && request % 3 == 0 {
                        client = connect().await;
                    }
                    if n % 4 == 3 {
                        let head = "POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 8\r\n";
                        client.write(format!("{head}{KEY}\r\nbody")).await;
                        tokio::task::yield_now().await;
                        client.write("more").await;
                    } else {
                        client.write(get("/a")).await;
                    }
                    let answer = client.answer().await;
                    assert_eq!(status(&answer), 200, "{answer}");
                    if answer.ends_with("other") { other += 1 } else { ok += 1 }
                }
                done.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                (ok, other)
            })
        })
        .collect();
    let mut reloads = 0;
    while done.load(std::sync::atomic::Ordering::SeqCst) < CALLERS || reloads < 10 {
        reloads += 1;
        let more = Route::new(&format!("/extra/{reloads}"), "api", SecurityRequirement::Public);
        let routes = routes().into_iter().chain([more]).collect();
        let own = rig.upstream.address;
        rig.reload(routes, |config| {
            config.upstreams[0].urls =
                vec![format!("http://{}", if reloads % 2 == 0 { own } else { other.address })];
            config.timeouts.first_byte += Duration::from_millis(1);
            config.limits.body += 1;
            config.listeners[0].trusted =
                [Trusted { peers: listed("127.0.0.0/8"), headers: vec![ForwardedHeader::For] }].into();
        })
        .await
        .unwrap();
        tokio::task::yield_now().await;
    }
    let (mut ok, mut others) = (0, 0);
    for caller in callers {
        let (one, two) = caller.await.unwrap();
        ok += one;
        others += two;
    }
    assert_eq!(ok + others, CALLERS * REQUESTS);
    assert!(ok > 0 && others > 0, "{ok} {others}");
    drop(rig.gateway.take());
}
