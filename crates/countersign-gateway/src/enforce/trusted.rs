//! Whose word is taken about the caller. Every field that states an identity or a way the request came, in the
//! vocabulary of any preset or of any proxy we know of, is dropped from every peer; what a trusted peer's entry names is
//! read before (RULES 3.1). An address suffices for that and for nothing more: no identity is ever believed here.

use crate::http1::fields::Fields;
use crate::listen::{
    caller::{Believed, Caller},
    settings::ForwardedHeader,
};
use countersign_core::check::request::{HeaderView, One, Peer, Transport};
use http::{HeaderName, HeaderValue};
use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
    sync::LazyLock,
};

/// The caller of one request, and how it came.
#[derive(Debug)]
pub(crate) struct Vouched {
    pub(crate) peer: Peer,
    /// By TLS, all the way to the proxy that says so.
    pub(crate) is_https: bool,
    /// The proxy's own id of the request (RULES 3.8).
    pub(crate) request_id: Option<HeaderValue>,
}

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(crate) static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Bytes of a request id that is handed on.
const MOST_ID: usize = 128;

/// Reads what the peer of this connection is believed; to be followed by [`scrub`].
pub(crate) fn vouched(caller: &Caller, fields: &Fields) -> Vouched {
    let own = caller.peer;
    let is_https = own.transport == Transport::Tls;
    let Some(believed) = &caller.believed else { return Vouched { peer: own, is_https, request_id: None } };
    let address =
        if believed.sets(ForwardedHeader::For) { walk(own.address, believed, fields) } else { own.address };
    let (transport, is_https) = if believed.sets(ForwardedHeader::Proto) {
        // RULES 1.7: a trusted peer that says `https`; whatever else it says, the first hop was plain
        let said = fields.one(&X_FORWARDED_PROTO);
        let is_https = matches!(said, One::Single(said) if said.eq_ignore_ascii_case(b"https"));
        match (is_https, own.transport) {
            (true, Transport::Tls) => (Transport::Tls, true),
            (true, _) => (Transport::PlainTrusted, true),
            (false, _) => (Transport::Plain, false),
        }
    } else if own.transport == Transport::PlainTrusted && !address.is_loopback() {
        // the proxy is on this machine, its caller is not
        (Transport::Plain, false)
    } else {
        (own.transport, is_https)
    };
    let request_id = if believed.sets(ForwardedHeader::RequestId) { request_id(fields) } else { None };
    Vouched { peer: Peer { address, transport }, is_https, request_id }
}

/// From the right: each address was written by the one after it, so the first that is not trusted is the caller, and
/// what stands left of it is hearsay. What is no address ends the walk at whoever wrote it.
fn walk(peer: IpAddr, believed: &Believed, fields: &Fields) -> IpAddr {
    let mut at = peer;
    for hop in fields.all(&X_FORWARDED_FOR).rev().flat_map(|line| line.rsplit(|b| *b == b',')) {
        let Some(address) = std::str::from_utf8(hop).ok().and_then(|text| address(text.trim())) else {
            break;
        };
        at = address;
        if !believed.extends_to(at) {
            break;
        }
    }
    at
}

/// With or without a port, as proxies write it.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    let plain = bare.parse::<IpAddr>().ok();
    plain.or_else(|| text.parse::<SocketAddr>().ok().map(|a| a.ip())).map(|ip| ip.to_canonical())
}

fn request_id(fields: &Fields) -> Option<HeaderValue> {
    let One::Single(only) = fields.one(&X_REQUEST_ID) else { return None };
    let good = (1..=MOST_ID).contains(&only.len()) && only.iter().all(u8::is_ascii_graphic);
    HeaderValue::from_bytes(only).ok().filter(|_| good)
}

/// Removes what only we may say to the upstream.
pub(crate) fn scrub(fields: &mut Fields) {
    fields.retain(|name| !is_reserved(name));
}

/// Does this name, however spelled, state an identity, a forwarded fact or another method?
///
/// Servers behind CGI, WSGI or FastCGI read every character that is no letter and no digit as `_`, so `a-b`, `a_b` and
/// `a.b` are one name here (CVE-2025-64484).
pub(crate) fn is_reserved(name: impl AsRef<[u8]>) -> bool {
    let name = name.as_ref();
    // most names begin with another letter, however they are spelled
    let first = name.first().map(u8::to_ascii_lowercase);
    if !matches!(first, Some(b'c' | b'f' | b'o' | b'p' | b'r' | b's' | b't' | b'x')) {
        return false;
    }
    let name = &*as_read(name);
    match name.first() {
        Some(b'c') => {
            starts(name, &["countersign-", "client-cert", "client-ip", "cf-connecting-ip", "cf-access-"])
                || name == b"countersign"
        }
        Some(b'f') => starts(name, &["forwarded", "fastly-client-ip", "fly-client-ip", "front-end-https"]),
        // mod_auth_openidc
        Some(b'o') => starts(name, &["oidc-claim-"]),
        Some(b'p') => name == b"proxy",
        Some(b'r') => starts(name, &["remote-"]),
        Some(b's') => starts(name, &["ssl-"]),
        Some(b't') => starts(name, &["true-client-ip", "tailscale-user", "teleport-jwt-assertion"]),
        Some(b'x') => is_of(name, &X_SORTED),
        _ => false,
    }
}

/// Families, because their members grow with every release of their makers.
pub(crate) const X_FAMILIES: &[&str] = &[
    "x-countersign-",
    // presets: oauth2-proxy, consumer (Kong), nginx and its kin
    "x-auth-request-",
    "x-consumer-",
    "x-credential-",
    "x-anonymous-consumer",
    "x-authenticated-",
    "x-remote-",
    "x-webauth-",
    "x-ssl-",
    "x-client-cert",
    "x-client-ip",
    "x-client-dn",
    // other proxies with identities: an API that stood behind one may still believe it
    "x-amzn-oidc-",
    "x-amzn-mtls-",
    "x-apigateway-api-userinfo",
    "x-appengine-user-",
    "x-arr-clientcert",
    "x-auth-user",
    "x-authentik-",
    "x-azure-clientip",
    "x-azure-socketip",
    "x-endpoint-api-userinfo",
    "x-goog-authenticated-",
    "x-goog-iap-",
    "x-ms-client-principal",
    "x-ms-token-",
    "x-pomerium-",
    "x-tls-client-",
    "x-userinfo",
    "x-vouch-",
    "x-jwt-assertion",
    // how it came
    "x-forwarded",
    "x-original-",
    "x-originating-",
    "x-rewrite-url",
    "x-real-ip",
    "x-cluster-client-ip",
    "x-envoy-",
    "x-host",
    "x-scheme",
    "x-url-scheme",
    "x-request-id",
    // RULES 2.2: the method that was judged is the method; and x-http-host-override
    "x-http-",
    "x-method-override",
];

/// Each behind a number that stands in the same order as it does.
static X_SORTED: LazyLock<Vec<(u64, &str)>> = LazyLock::new(|| {
    let mut sorted: Vec<_> = X_FAMILIES.iter().map(|family| (order(family.as_bytes()), *family)).collect();
    sorted.sort_unstable();
    sorted
});

/// What stands behind `x-`, as far as a number holds it.
fn order(name: &[u8]) -> u64 {
    let mut first = [0; 8];
    first.iter_mut().zip(name.iter().skip(2)).for_each(|(to, from)| *to = *from);
    u64::from_be_bytes(first)
}

/// Does one of these begin it? Sorted, and none begins another one: it can only be among those right before where it would stand.
fn is_of(name: &[u8], sorted: &[(u64, &str)]) -> bool {
    let own = order(name);
    let at = sorted.partition_point(|(family, _)| *family <= own);
    let before = sorted.get(..at).unwrap_or_default();
    let Some((last, _)) = before.last() else { return false };
    let mut near = before.iter().rev().take_while(|(family, _)| family == last);
    near.any(|(_, family)| name.starts_with(family.as_bytes()))
}

fn starts(name: &[u8], families: &[&str]) -> bool {
    families.iter().any(|family| name.starts_with(family.as_bytes()))
}

/// The name as servers behind CGI, WSGI or FastCGI see it.
pub(crate) fn as_read(name: &[u8]) -> Cow<'_, [u8]> {
    if is_plain(name) {
        return Cow::Borrowed(name);
    }
    let spelled = name.iter().map(|b| if b.is_ascii_alphanumeric() { b.to_ascii_lowercase() } else { b'-' });
    Cow::Owned(spelled.collect())
}

/// Is there one way only to read this name?
pub(crate) fn is_plain(name: &[u8]) -> bool {
    name.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}
