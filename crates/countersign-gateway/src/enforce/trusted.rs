//! Whose word is taken about the caller: nobody's, so far. Every field that states an identity or a way the request
//! came, in the vocabulary of any preset or of any proxy we know of, is dropped from every peer (RULES 3.1).

use http::{HeaderMap, HeaderName};
use std::borrow::Cow;

/// Removes what only we may say to the upstream.
pub(crate) fn scrub(headers: &mut HeaderMap) {
    let reserved: Vec<HeaderName> = headers.keys().filter(|n| is_reserved(n.as_str())).cloned().collect();
    for name in reserved {
        headers.remove(&name);
    }
}

/// Does this name, however spelled, state an identity, a forwarded fact or another method?
///
/// Servers behind CGI, WSGI or FastCGI read every character that is no letter and no digit as `_`, so `a-b`, `a_b` and
/// `a.b` are one name here (CVE-2025-64484).
pub(crate) fn is_reserved(name: &str) -> bool {
    let name = &*as_read(name);
    match name.as_bytes().first() {
        Some(b'c') => {
            starts(name, &["countersign-", "client-cert", "client-ip", "cf-connecting-ip", "cf-access-"])
                || name == "countersign"
        }
        Some(b'f') => starts(name, &["forwarded", "fastly-client-ip", "fly-client-ip", "front-end-https"]),
        // mod_auth_openidc
        Some(b'o') => starts(name, &["oidc-claim-"]),
        Some(b'p') => name == "proxy",
        Some(b'r') => starts(name, &["remote-"]),
        Some(b's') => starts(name, &["ssl-"]),
        Some(b't') => starts(name, &["true-client-ip", "tailscale-user", "teleport-jwt-assertion"]),
        Some(b'x') => starts(name, X_FAMILIES),
        _ => false,
    }
}

/// Families, because their members grow with every release of their makers.
const X_FAMILIES: &[&str] = &[
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

fn starts(name: &str, families: &[&str]) -> bool {
    families.iter().any(|family| name.starts_with(family))
}

/// The name as servers behind CGI, WSGI or FastCGI see it.
pub(crate) fn as_read(name: &str) -> Cow<'_, str> {
    if is_plain(name) {
        return Cow::Borrowed(name);
    }
    let spelled = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
    Cow::Owned(spelled.collect())
}

/// Is there one way only to read this name?
pub(crate) fn is_plain(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
