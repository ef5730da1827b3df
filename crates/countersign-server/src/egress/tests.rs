use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn rules_3_7_what_is_not_of_the_internet_is_known() {
    for special in [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2001::1",
        "2001:db8::1",
        "3fff::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "ff02::1",
        "100::1",
    ] {
        assert!(!is_of_the_internet(address(special)), "{special}");
    }
    for global in [
        "1.1.1.1",
        "100.63.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "192.0.1.1",
        "2606:4700::1111",
        "64:ff9b::1.1.1.1",
        "::ffff:1.1.1.1",
    ] {
        assert!(is_of_the_internet(address(global)), "{global}");
    }
    let allow = ["10.0.0.0/8".parse().unwrap()];
    assert!(is_allowed(address("::ffff:10.0.0.1"), &allow) && is_allowed(address("10.255.0.1"), &allow));
    assert!(!is_allowed(address("11.0.0.1"), &allow) && !is_allowed(address("::1"), &allow));
}

/// Answers every request in the same way, and counts them.
async fn receiver(answer: &'static str) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, asked) = (listener.local_addr().unwrap().port(), Arc::<AtomicUsize>::default());
    let count = asked.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 4096];
            let read = stream.read(&mut head).await.unwrap();
            assert!(head[..read].starts_with(b"POST "));
            count.fetch_add(1, Ordering::SeqCst);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (port, asked)
}

fn egress(allow: &[&str]) -> Egress {
    let allow = allow.iter().map(|network| network.parse().unwrap()).collect();
    Egress::new(EgressConfig { allow, authorities: None }).unwrap()
}

async fn post(egress: &Egress, url: String) -> Result<StatusCode, EgressError> {
    egress.post(&url.parse().unwrap(), HeaderMap::new(), "{}").await
}

#[tokio::test]
async fn rules_3_7_nothing_in_the_house_is_called_that_is_not_allowed() {
    let (port, asked) = receiver("HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n").await;
    let closed = egress(&[]);
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1", "2130706433"] {
        for scheme in ["http", "https"] {
            let refused = post(&closed, format!("{scheme}://{host}:{port}/")).await.unwrap_err().to_string();
            assert!(refused.contains("[egress] allow"), "{scheme}://{host}: {refused}");
        }
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    // over plain HTTP not even the internet
    assert!(matches!(post(&closed, "http://1.1.1.1/".into()).await, Err(EgressError::Plain(_))));
    let open = egress(&["127.0.0.0/8", "::1/128"]);
    for host in ["127.0.0.1", "localhost"] {
        assert_eq!(post(&open, format!("http://{host}:{port}/")).await.unwrap(), 204);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn rules_3_7_no_redirect_is_followed() {
    let (inner, reached) = receiver("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let answer = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:{inner}/\r\ncontent-length: 0\r\n\r\n"
    );
    let (port, _) = receiver(answer.leak()).await;
    let open = egress(&["127.0.0.0/8"]);
    assert_eq!(post(&open, format!("http://127.0.0.1:{port}/")).await.unwrap(), 307);
    assert_eq!(reached.load(Ordering::SeqCst), 0);
}

/// RFC 9111 5.2.2.
#[test]
fn how_long_an_answer_may_be_kept() {
    let rows: [(&[&'static str], Option<u64>); 9] = [
        (&[], None),
        (&["max-age=3600"], Some(3600)),
        (&["public, MAX-AGE=\"600\", must-revalidate"], Some(600)),
        (&["public", "max-age=60"], Some(60)),
        (&["max-age=3600, no-store"], Some(0)),
        (&["no-cache"], Some(0)),
        (&["max-age=soon"], None),
        (&["max-age=-1"], None),
        (&["s-maxage=60"], None),
    ];
    for (values, expected) in rows {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CACHE_CONTROL, http::HeaderValue::from_static(value));
        }
        assert_eq!(max_age(&headers), expected.map(Duration::from_secs), "{values:?}");
    }
}
