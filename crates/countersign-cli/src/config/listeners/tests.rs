use crate::config::tests::{SMALL, problems, read};

const LISTENERS: &str = r#"
[[gateway.listeners]]
listen = "[::1]:8443"

[[gateway.listeners]]
listen = "unix:run/x.sock"
mode = "0660"
"#;

#[test]
fn listeners_stand_beside_the_short_form_or_in_place_of_it() {
    let both = read(&format!("{SMALL}{LISTENERS}")).unwrap().gateway.listeners;
    let shown: Vec<String> = both.iter().map(|l| l.listen.to_string()).collect();
    assert_eq!(shown, ["127.0.0.1:8443", "[::1]:8443", "unix:/etc/countersign/run/x.sock"]);
    let countersign_gateway::ListenAddress::Unix(unix) = &both[2].listen else { panic!("{both:?}") };
    assert_eq!(unix.mode, 0o660);
    let without = SMALL.replace("[gateway]\nlisten = \"127.0.0.1:8443\"\n", "");
    assert_eq!(read(&format!("{without}{LISTENERS}")).unwrap().gateway.listeners.len(), 2);
}

#[test]
fn listeners_that_cannot_be_are_told() {
    let with = |lines: &str| problems(&format!("{SMALL}\n[[gateway.listeners]]\n{lines}\n"));
    for (lines, told) in [
        (
            "listen = \"127.0.0.1:8443\"",
            "gateway.listeners[0].listen: `127.0.0.1:8443` is another listener's",
        ),
        ("listen = \"0.0.0.0:8443\"", "gateway.listeners[0].listen: `0.0.0.0:8443` is another listener's"),
        ("listen = \"unix:\"", "gateway.listeners[0].listen: `unix:` is not a path"),
        ("listen = \"127.0.0.1:9443\"\nmode = \"0660\"", "gateway.listeners[0].mode: is for Unix sockets"),
        ("listen = \"unix:x\"\nmode = \"0o660\"", "gateway.listeners[0].mode: `0o660` is not a mode"),
        ("listen = \"unix:x\"\nmode = \"1777\"", "gateway.listeners[0].mode: `1777` is not a mode"),
        ("mode = \"0660\"", "gateway.listeners[0].listen: is missing"),
        ("listen = \"127.0.0.1:8445\"", "admin: `127.0.0.1:8445` is where `gateway` listens"),
        ("listen = \"unix:x\"\nport = 1", "gateway.listeners[0].port: no such key"),
    ] {
        let found = with(lines);
        assert!(found.iter().any(|p| p.contains(told)), "{lines}: {found:?}");
    }
    let long = format!("listen = \"unix:{}\"", "x".repeat(100));
    assert!(with(&long)[0].contains("1 to 107 bytes"));
    let tls = SMALL.replace("listen = \"127.0.0.1:8443\"", "tls = { certificate = \"a\", key = \"b\" }");
    let found = problems(&format!("{tls}{LISTENERS}"));
    assert!(found.iter().any(|p| p.contains("gateway.tls: has no `listen` beside it")), "{found:?}");
    let none = SMALL.replace("listen = \"127.0.0.1:8443\"", "");
    assert!(problems(&none)[0].contains("gateway.listen: is missing"));
}

#[test]
fn certificates_are_chosen_by_name_or_stand_alone() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["a.pem", "a.key", "b.pem", "b.key"] {
        std::fs::write(folder.path().join(file), "").unwrap();
    }
    let parsed = |tls: &str| {
        let text = format!("{SMALL}\n[[gateway.listeners]]\nlisten = \"127.0.0.1:9443\"\ntls = {tls}\n");
        crate::config::parse(
            &folder.path().join("countersign.toml"),
            &text,
            &crate::config::Environment::default(),
        )
    };
    let pair =
        |name: &str, more: &str| format!("{{ certificate = \"{name}.pem\", key = \"{name}.key\"{more} }}");
    let defaults = |tls: &str| {
        let listener = parsed(tls).unwrap().gateway.listeners.remove(1);
        listener.tls.unwrap().certificates.iter().map(|c| c.default).collect::<Vec<_>>()
    };
    assert_eq!(defaults(&pair("a", "")), [true]);
    let both = |more: &str| format!("{{ certificates = [{}, {}] }}", pair("a", more), pair("b", more));
    assert_eq!(defaults(&both("")), [false, false]);
    for (tls, told) in [
        (both(", default = true"), "tls.certificates[1].default: is said of another"),
        ("{ certificates = [] }".to_owned(), "tls.certificates: names no certificate"),
        (format!("{{ certificates = [{}] }}", pair("c", "")), "there is no file"),
        ("{ certificates = [], key = \"a.key\" }".to_owned(), "tls.key: no such key"),
    ] {
        let found: Vec<String> =
            parsed(&tls).unwrap_err().problems.iter().map(|p| format!("{}: {}", p.path, p.message)).collect();
        assert!(found.iter().any(|p| p.contains(told)), "{tls}: {found:?}");
    }
}

#[test]
fn peers_are_networks_addresses_or_whoever_opens_the_file() {
    let with = |peers: &str| {
        format!("{SMALL}\n[[gateway.listeners]]\nlisten = \"unix:x\"\nproxy_protocol = {peers}\n")
    };
    let listener =
        read(&with("[\"10.0.0.0/8\", \"2001:db8::1\", \"unix\"]")).unwrap().gateway.listeners.remove(1);
    assert!(listener.proxy_protocol.unix);
    let shown: Vec<String> = listener.proxy_protocol.networks.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["10.0.0.0/8", "2001:db8::1/128"]);
    for (peers, told) in [
        ("[]", "proxy_protocol: lists nobody"),
        ("[\"10.0.0.1/8\"]", "has host bits; say `10.0.0.0/8`"),
        ("[\"balancer\"]", "`balancer` is not a network"),
        ("[\"::ffff:10.0.0.0/104\"]", "is a mapped IPv4 network"),
        ("true", "must be an array"),
    ] {
        let found = problems(&with(peers));
        assert!(found.iter().any(|p| p.contains(told)), "{peers}: {found:?}");
    }
}

#[test]
fn a_trusted_peer_has_networks_and_the_headers_it_sets() {
    let with = |trusted: &str| {
        format!("{SMALL}\n[[gateway.listeners]]\nlisten = \"127.0.0.1:9443\"\ntrusted = {trusted}\n")
    };
    let good = "[{ networks = [\"10.0.0.0/8\"], headers = [\"x-forwarded-for\", \"x-forwarded-proto\"] }]";
    let trusted = read(&with(good)).unwrap().gateway.listeners.remove(1).trusted;
    assert_eq!((trusted.len(), trusted[0].headers.len()), (1, 2));
    for (trusted, told) in [
        ("[{ networks = [\"10.0.0.0/8\"] }]", "trusted[0].headers: is missing"),
        ("[{ headers = [\"x-forwarded-for\"] }]", "trusted[0].networks: is missing"),
        ("[{ networks = [\"unix\"], headers = [\"x-forwarded-host\"] }]", "`x-forwarded-host` is not one of"),
        ("[{ networks = [\"unix\"], headers = [], secret = 1 }]", "trusted[0].secret: no such key"),
    ] {
        let found = problems(&with(trusted));
        assert!(found.iter().any(|p| p.contains(told)), "{trusted}: {found:?}");
    }
}

#[test]
fn limits_and_times_are_a_listeners_or_everybodys() {
    let gateway =
        "listen = \"127.0.0.1:8443\"\nlimits = { body = 9, head = 2048 }\ntimeouts = { head = \"1s\" }";
    let text = SMALL.replace("listen = \"127.0.0.1:8443\"", gateway);
    let more = "limits = { body = 7, connections = 3 }\ntimeouts = { connection_age = \"2h\" }";
    let text = format!("{text}\n[[gateway.listeners]]\nlisten = \"127.0.0.1:9443\"\n{more}\n");
    let gateway = read(&text).unwrap().gateway;
    let all = gateway.limits.over(countersign_gateway::Limits::default());
    let (short, long) = (&gateway.listeners[0], &gateway.listeners[1]);
    assert_eq!((short.limits.over(all).body, long.limits.over(all).body), (9, 7));
    assert_eq!((short.limits.over(all).head.head, long.limits.over(all).head.head), (2048, 2048));
    assert_eq!((all.connections, long.limits.over(all).connections), (16_384, 3));
    let all = gateway.timeouts.listeners.over(countersign_gateway::Timeouts::default());
    let own = long.timeouts.over(all);
    assert_eq!((own.head.as_secs(), own.connection_age.as_secs(), own.idle.as_secs()), (1, 7200, 60));
}

#[test]
fn a_listener_grants_no_more_than_the_gateway_can() {
    let with = |lines: &str| {
        problems(&format!("{SMALL}\n[[gateway.listeners]]\nlisten = \"127.0.0.1:9443\"\n{lines}\n"))
    };
    for (lines, told) in [
        ("limits = { head = 16385 }", "gateway.listeners[0].limits.head: must be from 1024 to 16384"),
        ("limits = { fields = 65 }", "limits.fields: must be from 8 to 64"),
        ("limits = { streams = 0 }", "limits.streams: must be from 1 to 1024"),
        ("limits = { connections = 0 }", "limits.connections: must be from 1 to"),
        ("limits = { header = 2048 }", "limits.header: no such key; did you mean `head`"),
        ("limits = 5", "limits: must be a table"),
        ("timeouts = { idle = \"0s\" }", "timeouts.idle: `0s` is not a duration"),
        ("timeouts = { connect = \"1s\" }", "timeouts.connect: no such key"),
        ("timeouts = { age = 5 }", "timeouts.age: no such key"),
    ] {
        let found = with(lines);
        assert!(found.iter().any(|p| p.contains(told)), "{lines}: {found:?}");
    }
}
