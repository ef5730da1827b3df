//! What was sent over plain HTTP (RULES 1.7): found out whose it was, said in the trail, and ended where the configuration says
//! so. Off the path of any request.

use super::Rooms;
use countersign_core::{
    CredentialId, MethodName, NodeKind,
    audit::{Actor, AuditEvent, AuditStore},
};
use countersign_methods::{
    api_key::record::RevocationReason, exposure::Exposed, jwt::authenticator::JwtAuthenticator,
    principal::caller::Caller, session::record::EndReason,
};
use countersign_server::Sessions;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(1);

pub(super) async fn watch(
    rooms: Rooms,
    signed: (Arc<JwtAuthenticator>, Option<Arc<Sessions>>),
    revoke: bool,
    stopping: CancellationToken,
) {
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = ticks.tick() => {}
        }
        for exposed in rooms.exposures.take() {
            match (exposed.method, &signed) {
                (MethodName::Jwt, signed) => of_session(&rooms, signed, &exposed, revoke).await,
                _ => find_out(&rooms, &exposed, revoke).await,
            }
        }
    }
}

async fn find_out(rooms: &Rooms, exposed: &Exposed, revoke: bool) {
    let now = rooms.now();
    let caller = Caller { actor: Actor::System, source: Some(exposed.from), ..Caller::host() };
    match exposed.method {
        MethodName::ApiKey => {
            let Ok(Some(record)) = rooms.api_keys.exposed(exposed, now).await else { return };
            say(rooms, exposed, "api_key.exposed", record.id.as_str(), revoke).await;
            if revoke {
                let reason = RevocationReason::Leaked;
                let ended = rooms.api_keys.revoke(&record.id, None, reason, &caller, now).await;
                ended.err().inspect(|error| not_ended(record.id.as_str(), error));
            }
        }
        MethodName::Basic => {
            let Some(known) = rooms.passwords.exposed(exposed, now).await else { return };
            let app_password = known.lineage.iter().find(|node| node.kind == NodeKind::AppPassword);
            let Some(node) = app_password else {
                // a person's own password is theirs to change
                return say(rooms, exposed, "password.exposed", known.principal.as_str(), false).await;
            };
            say(rooms, exposed, "app_password.exposed", &node.id, revoke).await;
            if revoke {
                let ended = rooms.basic.revoke_app_password(&CredentialId::of(node), &caller, now).await;
                ended.err().inspect(|error| not_ended(&node.id, error));
            }
        }
        _ => {}
    }
}

/// A token or a cookie: whoever read it may use what it is of, so that the session ends.
async fn of_session(
    rooms: &Rooms,
    (room, sessions): &(Arc<JwtAuthenticator>, Option<Arc<Sessions>>),
    exposed: &Exposed,
    revoke: bool,
) {
    let now = rooms.now();
    let Some(known) = room.exposed(exposed, now).await else { return };
    let ours = known.issuer.is_none();
    let id = known.credential.as_str();
    say(rooms, exposed, "session.exposed", id, revoke && ours).await;
    let Some(sessions) = sessions.as_ref().filter(|_| revoke && ours) else { return };
    let caller = Caller { actor: Actor::System, source: Some(exposed.from), ..Caller::host() };
    let ended = sessions.issuer.end(&known.credential, EndReason::Revoked, &caller, now).await;
    ended.err().inspect(|error| not_ended(id, error));
}

fn not_ended(id: &str, error: &dyn std::fmt::Display) {
    tracing::error!(id, %error, "seen over plain http and could not be revoked: revoke it");
}

async fn say(rooms: &Rooms, exposed: &Exposed, action: &'static str, subject: &str, revoke: bool) {
    let todo = if revoke { "it is revoked" } else { "replace it" };
    tracing::warn!(action, subject, from = %exposed.from, "a good credential was sent over plain http, where anybody may have read it: {todo}");
    let event = AuditEvent {
        at: rooms.now(),
        actor: Actor::System,
        action,
        subject: subject.to_owned(),
        source: Some(exposed.from),
        request: None,
        detail: vec![("revoked", revoke.to_string())],
        once: None,
    };
    if let Err(error) = AuditStore::note(&*rooms.store, event).await {
        tracing::error!(%error, action, subject, "that is not in the audit trail");
    }
}
