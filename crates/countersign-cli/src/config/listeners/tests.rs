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
