//! The keys by which what is signed here is verified (RFC 7517): one set for access tokens, one for what upstreams are told.

use crate::{
    call::{Answer, Facts},
    openapi::{Described, shape::string},
};
use axum::body::Body;
use countersign_methods::signing::record::{JWKS_MAX_AGE, KeyPurpose};
use http::{
    HeaderValue, Response, StatusCode,
    header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH},
};
use serde_json::json;

pub(crate) async fn session(facts: Facts) -> Answer {
    show(&facts, KeyPurpose::Session)
}

pub(crate) async fn identity(facts: Facts) -> Answer {
    show(&facts, KeyPurpose::Identity)
}

fn show(facts: &Facts, purpose: KeyPurpose) -> Answer {
    facts.query()?.finish(Some(()))?;
    let jwks = facts.services.signing.keys().jwks(purpose);
    let known = facts.headers().get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    // RFC 9110 13.1.2: weak comparison
    let same = known.flat_map(|list| list.split(',')).any(|tag| {
        let tag = tag.trim();
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == &*jwks.etag
    });
    let body = if same { Body::empty() } else { Body::from(jwks.body.to_vec()) };
    let mut response = Response::new(body);
    if same {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    // RFC 7517 8.5.1
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
    let age = format!("public, max-age={}", JWKS_MAX_AGE.as_secs());
    headers.extend(HeaderValue::try_from(age).map(|age| (CACHE_CONTROL, age)));
    headers.extend(HeaderValue::try_from(&*jwks.etag).map(|etag| (ETAG, etag)));
    // public keys are anybody's to read
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    Ok(response)
}

pub(crate) fn describe_session() -> Described {
    describe("The keys that access tokens of sessions are verified by (RFC 7517)")
}

pub(crate) fn describe_identity() -> Described {
    describe("The keys that `Countersign-Identity` is verified by (RFC 7517)")
}

fn describe(says: &'static str) -> Described {
    let key = json!({
        "type": "object",
        "required": ["kty", "kid", "use", "alg"],
        "properties": { "kty": string(), "kid": string(), "use": string(), "alg": string() },
    });
    let schema = json!({ "type": "object", "required": ["keys"], "properties": { "keys": { "type": "array", "items": key } } });
    Described::new("signing-keys", says).media(200, "a JWK set", "application/jwk-set+json", schema)
}
