//! `POST /revoke`: whoever holds a key, an app password, a refresh token or an access token can kill it by showing it (RULES 5.7), in
//! the shape of RFC 7009. A refresh token takes its session along (RFC 7009 2.1).

use crate::{
    call::{Answer, Facts},
    openapi::{
        Described,
        shape::{request, string},
    },
    problem::Problem,
    services::network_of,
    words::read,
};
use axum::body::Body;
use countersign_core::check::request::Transport;
use countersign_methods::{
    jwt::issue::TokenError,
    session::{issue::from_network, token::TokenKind},
};
use http::{Response, StatusCode};

/// RFC 7009 2.2: 200 also for what is unknown, so that the answer tells nobody which keys exist.
pub(crate) async fn revoke(facts: Facts) -> Answer {
    // RULES 1.7: no key over plain HTTP
    if facts.peer.transport == Transport::Plain {
        let detail = "a key was sent without TLS; use https, and rotate this key: somebody may have seen it";
        return Err(Problem::new(StatusCode::FORBIDDEN, "tls_required", detail));
    }
    let services = &facts.services;
    let network = network_of(facts.peer.address);
    services.charge("revocations from this network", &network, &services.limits.revoke)?;

    let mut body = facts.members_of_form_or_json()?;
    let token = body.required("token", read::text);
    // RFC 7009 2.1: a hint that may be ignored, and is
    let _hint = body.optional("token_type_hint", read::text);
    let token = body.finish(token)?;

    let source = Some(facts.peer.address);
    let ended =
        services.api_keys.revoke_presented(token.as_bytes(), source, Some(facts.request), facts.now).await?;
    if let Some(id) = ended {
        tracing::warn!(key = %id, request = %facts.request, "a key was revoked by whoever holds it");
    }
    let (source, request) = (facts.peer.address, facts.request);
    let ended = services.basic.revoke_presented(token.as_bytes(), source, request, facts.now).await?;
    if let Some(id) = ended {
        tracing::warn!(app_password = %id, request = %facts.request, "an app password was revoked by whoever holds it");
    }
    if let Some(sessions) = &services.sessions {
        let caller = from_network(source, request);
        let (issuer, bytes) = (&sessions.issuer, token.as_bytes());
        issuer.sign_out(TokenKind::Refresh, bytes, &caller, facts.now).await?;
        // RFC 7009 2.1: an access token ends alone
        match sessions.tokens.revoke(&token, &caller, facts.now).await {
            Ok(_) | Err(TokenError::NotOurs(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Response::new(Body::empty()))
}

pub(crate) fn describe_revoke() -> Described {
    let body = request(&[("token", string())], &[("token_type_hint", string())]);
    let example = serde_json::json!({"token": "cs_live_..."});
    Described::new("api-keys", "End a key by showing it (RFC 7009)").form_or_body(body, example).media(
        200,
        "it is no good key any more, if it ever was one",
        "",
        serde_json::Value::Null,
    )
}
