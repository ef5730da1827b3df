use crate::{
    HeadError,
    respond::{self, Options},
};
use bytes::Bytes;
use countersign_core::{
    RequestId, ScopeSet,
    challenge::Challenge,
    check::{
        decision::{Denial, DenialKind, LimitState},
        limit::RateLimit,
    },
};
use http::{Method, Response, StatusCode, Version, uri::PathAndQuery};
use std::{sync::Arc, time::Duration};

const ID: RequestId = RequestId([0xab; 16]);

fn shown(response: &Response<Bytes>) -> String {
    let mut text = format!("{}\n", response.status());
    for (name, value) in response.headers() {
        text.push_str(&format!("{name}: {}\n", value.to_str().unwrap()));
    }
    text.push('\n');
    text.push_str(std::str::from_utf8(response.body()).unwrap());
    text
}

fn denied(denial: &Denial) -> String {
    shown(&respond::denial(denial, ID, &Options::default()))
}

fn challenges(texts: &[(&str, &[(&str, &str)])]) -> Arc<[Challenge]> {
    texts.iter().map(|(scheme, parameters)| Challenge::new(scheme, parameters).unwrap()).collect()
}

/// RFC 6750 3.1: no error where no credential came.
#[test]
fn a_missing_credential_gets_the_bare_challenges() {
    let mut denial = Denial::new(DenialKind::Unauthenticated, "credential_missing", "secret reason");
    denial.challenges = challenges(&[("Bearer", &[("realm", "api")]), ("Basic", &[("realm", "api")])]);
    // a prompt that follows it in a terminal begins on a line of its own
    assert!(denied(&denial).ends_with("}\n"));
    insta::assert_snapshot!(denied(&denial), @r#"
    401 Unauthorized
    content-type: application/problem+json
    cache-control: no-store
    countersign-request-id: abababababababababababababababab
    www-authenticate: Bearer realm="api"
    www-authenticate: Basic realm="api"

    {"type":"https://countersign.dev/problems/credential_missing","title":"credential required","status":401,"detail":"this API needs a credential; `WWW-Authenticate` says of which kind","instance":"abababababababababababababababab","code":"credential_missing"}
    "#);
}

/// RFC 6750 3.1: `invalid_token` for Bearer, and for nothing else; a challenge without parameters stays a challenge.
#[test]
fn a_bad_credential_is_told_to_bearer_alone() {
    let mut denial = Denial::new(DenialKind::Unauthenticated, "credential_invalid", "unknown key");
    denial.challenges =
        challenges(&[("Bearer", &[("realm", "api")]), ("DPoP", &[]), ("Basic", &[("realm", "api")])]);
    let answer = denied(&denial);
    assert!(answer.contains("www-authenticate: Bearer realm=\"api\", error=\"invalid_token\"\n"), "{answer}");
    assert!(answer.contains("www-authenticate: DPoP error=\"invalid_token\"\n"), "{answer}");
    assert!(answer.contains("www-authenticate: Basic realm=\"api\"\n"), "{answer}");
    assert!(!answer.contains("unknown key"), "{answer}");
}

/// A browser shows what it is sent to, and asks nobody in a window of its own.
#[test]
fn a_person_is_sent_to_the_login_page() {
    let mut denial = Denial::new(DenialKind::Unauthenticated, "credential_missing", "secret reason");
    denial.challenges = challenges(&[("Bearer", &[("realm", "api")])]);
    denial.sign_in = Some(PathAndQuery::from_static("/a%20b/c?d=e&return_to=https://evil.example/%0d%0a"));
    insta::assert_snapshot!(denied(&denial), @r"
    303 See Other
    location: /.countersign/session/login?return_to=%2Fa%2520b%2Fc%3Fd%3De%26return_to%3Dhttps%3A%2F%2Fevil.example%2F%250d%250a
    content-type: text/plain; charset=utf-8
    cache-control: no-store
    countersign-request-id: abababababababababababababababab

    sign in
    ");
}

/// Up to 2000 bytes as they are written.
#[test]
fn what_is_too_long_is_not_come_back_to() {
    let login = "location: /.countersign/session/login";
    for (path, comes_back) in [
        (format!("/{}", "a".repeat(1997)), true),
        (format!("/{}", "a".repeat(1998)), false),
        (format!("/{}", "!".repeat(665)), true),
        (format!("/{}", "!".repeat(666)), false),
        (format!("/{}", "a".repeat(8000)), false),
    ] {
        let mut denial = Denial::new(DenialKind::Unauthenticated, "credential_missing", "");
        denial.sign_in = Some(PathAndQuery::try_from(path.as_str()).unwrap());
        let answer = denied(&denial);
        assert_eq!(answer.contains(&format!("{login}?return_to=%2F")), comes_back, "{} bytes", path.len());
        assert_eq!(answer.contains(&format!("{login}\n")), !comes_back, "{} bytes", path.len());
    }
}

/// An outage is worth another try; a configuration that lacks a plan is not.
#[test]
fn an_outage_says_when_to_come_back() {
    for (code, told) in [("store_unavailable", true), ("feed_blind", true), ("plan_unknown", false)] {
        let answer = denied(&Denial::new(DenialKind::Unavailable, code, "reason"));
        assert!(answer.starts_with("503"), "{answer}");
        assert_eq!(answer.contains("retry-after: 1\n"), told, "{answer}");
    }
    assert!(!denied(&Denial::new(DenialKind::Forbidden, "scope_missing", "reason")).contains("retry-after"));
}

#[test]
fn limits_say_when_to_come_back() {
    let mut denial = Denial::new(DenialKind::TooMany, "limit_exceeded", "route limit");
    denial.retry_after = Some(Duration::from_millis(1500));
    denial.limit = Some(LimitState {
        limit: RateLimit { quota: 10, window: Duration::from_secs(60) },
        remaining: 0,
        reset_after: Duration::from_millis(59_001),
    });
    insta::assert_snapshot!(denied(&denial), @r#"
    429 Too Many Requests
    content-type: application/problem+json
    cache-control: no-store
    countersign-request-id: abababababababababababababababab
    retry-after: 2
    ratelimit-policy: "default";q=10;w=60
    ratelimit: "default";r=0;t=60

    {"type":"https://countersign.dev/problems/limit_exceeded","title":"too many requests","status":429,"detail":"the rate limit is used up","instance":"abababababababababababababababab","code":"limit_exceeded"}
    "#);
}

/// RFC 9110 15.5.6 and 10.2.3: `Allow` always, and never zero seconds.
#[test]
fn fields_that_go_with_a_status() {
    let mut denial = Denial::new(DenialKind::MethodNotAllowed, "method_not_allowed", "");
    denial.allow = vec![Method::GET, Method::HEAD];
    assert!(denied(&denial).contains("allow: GET, HEAD\n"));
    let mut denial = Denial::new(DenialKind::TooMany, "too_many_failures", "");
    denial.retry_after = Some(Duration::ZERO);
    assert!(denied(&denial).contains("retry-after: 1\n"));
}

/// Without a known Bearer caller there is nobody to tell which scope is missing.
#[test]
fn a_missing_scope_is_not_told_to_nobody() {
    let mut denial = Denial::new(DenialKind::Forbidden, "scope_missing", "");
    denial.needs = ScopeSet::parse("orders:read");
    assert!(!denied(&denial).contains("www-authenticate"));
}

#[test]
fn a_refused_head_is_a_problem_too() {
    let errors = [
        HeadError::TooManyFields,
        HeadError::HeadTooLarge,
        HeadError::TargetTooLong,
        HeadError::Tunnel,
        HeadError::Trace,
        HeadError::MethodCase,
        HeadError::TargetForm,
        HeadError::NoHost,
        HeadError::DoubledHost,
        HeadError::BadHost,
        HeadError::HostMismatch,
        HeadError::FieldName,
        HeadError::TransferCoding,
        HeadError::Framing,
        HeadError::CleartextUpgrade,
    ];
    for error in errors {
        let response: Response<Bytes> = respond::head_error(error, Version::HTTP_11, ID);
        assert_eq!(response.status(), error.status());
        assert_eq!(response.headers().contains_key("connection"), error.ends_connection(), "{error:?}");
        assert_eq!(
            response.headers().contains_key("allow"),
            response.status() == StatusCode::METHOD_NOT_ALLOWED,
            "{error:?}"
        );
        // RFC 9113 8.2.2: no such field in HTTP/2
        let response: Response<Bytes> = respond::head_error(error, Version::HTTP_2, ID);
        assert!(!response.headers().contains_key("connection"), "{error:?}");
    }
}

/// What a code or detail holds can not end its string.
#[test]
fn documents_are_json() {
    let response: Response<Bytes> = respond::problem(StatusCode::BAD_REQUEST, "a\"b", "t\n", "\\", ID);
    let document: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(document["code"], "a\"b");
    assert_eq!(document["status"], 400);
}
