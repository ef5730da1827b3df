use super::*;
use crate::upstream::health::Fault;

fn upstream(urls: &[&str]) -> Rc<Upstream> {
    let mut config = UpstreamConfig::new("api", "");
    config.urls = urls.iter().map(|u| (*u).to_owned()).collect();
    let destination = Destination::new(&config, &Timeouts::default(), None).unwrap();
    Upstream::new(destination, 4, Timeouts::default())
}

fn port(chosen: &Chosen) -> u16 {
    chosen.pool().address().port()
}

const THREE: [&str; 3] = ["http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3"];

#[test]
fn the_address_with_the_fewest_pending_requests_is_chosen() {
    let upstream = upstream(&THREE);
    let mut held: Vec<Chosen> = (0..9).map(|_| upstream.choose(&[]).unwrap()).collect();
    for port_wanted in 1..=3 {
        assert_eq!(held.iter().filter(|c| port(c) == port_wanted).count(), 3);
    }
    held.retain(|c| port(c) != 2);
    for _ in 0..3 {
        let chosen = upstream.choose(&[]).unwrap();
        assert_eq!(port(&chosen), 2);
        held.push(chosen);
    }
}

/// One after the other, with nothing pending: all are asked.
#[test]
fn idle_addresses_take_turns() {
    let upstream = upstream(&THREE);
    let mut asked: Vec<u16> = (0..6).map(|_| port(&upstream.choose(&[]).unwrap())).collect();
    asked.sort_unstable();
    assert_eq!(asked, [1, 1, 2, 2, 3, 3]);
}

#[test]
fn what_is_out_is_not_chosen_until_all_are() {
    let upstream = upstream(&THREE);
    let now = Instant::now();
    let pools = upstream.pools();
    pools[0].health().failed(Fault::Connect, now);
    for _ in 0..10 {
        assert_ne!(port(&upstream.choose(&[]).unwrap()), 1);
    }
    pools[2].health().failed(Fault::Connect, now + Duration::from_millis(1));
    pools[1].health().failed(Fault::Connect, now + Duration::from_millis(2));
    // all out: the one that is due first, then the next
    let tried: Vec<SocketAddr> = pools.iter().map(|p| p.address()).collect();
    assert_eq!(port(&upstream.choose(&[]).unwrap()), 1);
    assert_eq!(port(&upstream.choose(&tried[..1]).unwrap()), 3);
    assert_eq!(port(&upstream.choose(&[tried[0], tried[2]]).unwrap()), 2);
    assert!(upstream.choose(&tried).is_none());
}

/// One request finds out whether it is back; the others go where it is known to be well.
#[test]
fn an_address_on_trial_gets_one_request_at_a_time() {
    let upstream = upstream(&THREE[..2]);
    let long_ago = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
    upstream.pools()[0].health().failed(Fault::Connect, long_ago);
    let held: Vec<Chosen> = (0..10).map(|_| upstream.choose(&[]).unwrap()).collect();
    assert_eq!(held.iter().filter(|c| port(c) == 1).count(), 1);
}

/// What a name stands for changes: what stays keeps its history, what went is asked no more, what came is.
#[test]
fn addresses_follow_their_name() {
    let upstream = upstream(&["http://api.internal:80"]);
    let place = upstream.destination.first.clone();
    let at = |last: u8| SocketAddr::new([10, 0, 0, last].into(), 80);
    assert!(upstream.choose(&[]).is_none());
    upstream.settle(0, &place, &[at(1), at(2), at(2)]);
    let before = upstream.pools();
    assert_eq!(before.len(), 2, "each address once");
    before[1].health().failed(Fault::Connect, Instant::now());
    upstream.settle(0, &place, &[at(2), at(3)]);
    let after = upstream.pools();
    assert!(Rc::ptr_eq(&after[0], &before[1]));
    let asked: Vec<SocketAddr> = (0..4).map(|_| upstream.choose(&[]).unwrap().pool().address()).collect();
    assert_eq!(asked, [at(3); 4], "the one that stayed is still out");
}

#[test]
fn what_is_no_destination_says_so() {
    let refused = |change: &dyn Fn(&mut UpstreamConfig)| {
        let mut config = UpstreamConfig::new("api", "http://a:1");
        change(&mut config);
        Destination::new(&config, &Timeouts::default(), None).unwrap_err()
    };
    assert_eq!(refused(&|c| c.urls.clear()), OriginError::None);
    assert_eq!(refused(&|c| c.urls[0] = "https://a:1".into()), OriginError::NoAuthority);
    assert_eq!(refused(&|c| c.urls.push("http://a:1/".into())), OriginError::Twice);
    assert_eq!(refused(&|c| c.limits.connections = Some(0)), OriginError::Zero);
    for name in ["h2c", "H2C", "HTTP/2.0", "TLS/1.0", "web socket", ""] {
        assert_eq!(refused(&move |c| c.upgrades = vec![name.into()]), OriginError::Upgrade, "{name}");
    }
    for (path, every, expected) in [
        ("healthz", 1, OriginError::HealthPath),
        ("", 1, OriginError::HealthPath),
        ("/a b", 1, OriginError::HealthPath),
        ("/ok", 0, OriginError::Zero),
    ] {
        let every = Duration::from_secs(every);
        let check = crate::upstream::config::HealthCheck { path: path.into(), every };
        assert_eq!(refused(&move |c| c.health = Some(check.clone())), expected, "{path}");
    }
}
