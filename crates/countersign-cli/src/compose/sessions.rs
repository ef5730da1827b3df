//! Signed tokens and first-party sessions, put together: the room, what stands behind `/.countersign/` on the gateway's hosts, who
//! signs for upstreams, and what follows the signing keys of the store.

use super::Rooms;
use crate::{config::Settings, output::Failure};
use bytes::Bytes;
use countersign_core::{
    BoxFuture,
    check::{
        revocation::RevocationFeed,
        route::{HostPattern, Route},
    },
    directory::Directory,
};
use countersign_crypto::jose::Algorithm;
use countersign_gateway::{BuiltIn, Identity, IdentitySigner};
use countersign_methods::{
    jwt::{
        authenticator::{JwtAuthenticator, Parts as JwtParts},
        foreign::ForeignIssuers,
        issue::JwtIssuer,
    },
    session::{
        issue::{Parts as SessionParts, SessionIssuer},
        store::{Before, SessionStore},
        token::SessionTokens,
    },
    signing::{keys::SigningKeys, record::KeyPurpose},
};
use countersign_server::{BUILT_IN, Services, SessionFace, Sessions, session_routes};
use std::{sync::Arc, time::Duration};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// RULES 5.3: a key that was called back is gone from the JWKS in a second.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Whether a key is due.
const ADVANCE_EVERY: Duration = Duration::from_secs(60);
/// What upstreams are told (RULES 1.4): a type that no endpoint of ours takes.
const IDENTITY_TYP: &str = "countersign-identity+jwt";

/// The room, and sessions where the configuration has them.
pub(super) struct Signed {
    pub(super) authenticator: Arc<JwtAuthenticator>,
    pub(super) sessions: Option<Arc<Sessions>>,
}

pub(super) fn signed(
    settings: &Settings,
    rooms: &Rooms,
    feed: Arc<dyn RevocationFeed>,
    directory: Arc<dyn Directory>,
    foreign: ForeignIssuers,
) -> Result<Signed, Failure> {
    let keys = rooms.signing.keys().clone();
    let entropy = rooms.world.entropy.clone();
    let tokens = Arc::new(JwtIssuer::new(keys, rooms.store.clone(), settings.jwt.clone(), entropy.clone()));
    let issuer = match &settings.sessions {
        None => None,
        Some(config) => {
            let marks = rooms.marks.clone().ok_or_else(|| {
                Failure::failed("the keyring has no `cookie`, which `[sessions]` needs")
                    .todo("add one with `countersign keyring rotate cookie`, and start again")
            })?;
            let opaque = SessionTokens::new(&config.word, marks)
                .map_err(|_| Failure::failed(format!("`{}` cannot begin a token", config.word)))?;
            let parts = SessionParts {
                store: rooms.store.clone(),
                feed,
                directory,
                tokens: opaque,
                config: config.clone(),
                entropy,
            };
            Some(Arc::new(SessionIssuer::new(parts)))
        }
    };
    let sessions = issuer.clone().map(|issuer| Arc::new(Sessions { issuer, tokens: tokens.clone() }));
    Ok(Signed { authenticator: authenticator(rooms, tokens, issuer, foreign), sessions })
}

fn authenticator(
    rooms: &Rooms,
    issuer: Arc<JwtIssuer>,
    sessions: Option<Arc<SessionIssuer>>,
    foreign: ForeignIssuers,
) -> Arc<JwtAuthenticator> {
    Arc::new(JwtAuthenticator::new(JwtParts {
        issuer,
        sessions,
        foreign,
        principals: rooms.store.clone(),
        fingerprint: rooms.fingerprint.clone(),
        uses: rooms.session_uses.clone(),
        exposures: rooms.exposures.clone(),
    }))
}

/// What stands under `/.countersign/`, on every host that the configuration names.
pub(super) fn routes(settings: &Settings) -> Vec<Route> {
    let Some(sessions) = &settings.sessions else { return Vec::new() };
    let mut hosts: Vec<HostPattern> = Vec::new();
    for route in &settings.routes {
        if !hosts.contains(&route.host) {
            hosts.push(route.host.clone());
        }
    }
    session_routes(&hosts, sessions.audiences.first())
}

/// On the control runtime, whichever worker asks.
#[derive(Debug)]
struct Face {
    face: SessionFace,
    control: Handle,
}

impl BuiltIn for Face {
    fn answer(&self, request: http::Request<Bytes>) -> BoxFuture<'static, http::Response<Bytes>> {
        let work = self.control.spawn(self.face.clone().answer(request));
        Box::pin(async move {
            work.await.unwrap_or_else(|_| {
                let mut answer = http::Response::new(Bytes::new());
                *answer.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
                answer
            })
        })
    }
}

/// Must be called on the control runtime.
pub(super) fn built_in(services: &Arc<Services>) -> Vec<(Arc<str>, Arc<dyn BuiltIn>)> {
    let face = SessionFace::new(services.clone());
    vec![(BUILT_IN.into(), Arc::new(Face { face, control: Handle::current() }))]
}

#[derive(Debug)]
struct Signer {
    keys: Arc<SigningKeys>,
    algorithm: Algorithm,
}

impl IdentitySigner for Signer {
    fn sign(&self, claims: &serde_json::Map<String, serde_json::Value>) -> Option<String> {
        self.keys.sign((KeyPurpose::Identity, self.algorithm), IDENTITY_TYP, claims)
    }

    fn revision(&self) -> u64 {
        self.keys.revision()
    }
}

/// `None`: the configuration names nobody who could say it.
pub(super) fn identity(settings: &Settings, rooms: &Rooms) -> Option<Identity> {
    let algorithm = settings.signing.algorithm(KeyPurpose::Identity);
    let signer = Arc::new(Signer { keys: rooms.signing.keys().clone(), algorithm });
    Some(Identity { issuer: issuer(settings)?, signer })
}

/// Who signs here: the public face, or the gateway itself where there is none.
fn issuer(settings: &Settings) -> Option<Arc<str>> {
    settings.jwt.issuer.clone().or_else(|| settings.gateway.url.clone())
}

/// The first keys, before anything is signed or verified.
pub(super) async fn first_keys(settings: &Settings, rooms: &Rooms) -> Result<(), Failure> {
    let ready = match issuer(settings) {
        Some(_) => rooms.signing.advance(rooms.now()).await,
        None => rooms.signing.load().await,
    };
    ready.map_err(|error| {
        Failure::failed(format!("the signing keys cannot be used: {error}"))
            .todo("is this the keyring of this store? put back the one that belongs to it")
    })
}

/// Keys that other processes made, retired and called back; and those that are due here.
pub(super) async fn follow_keys(rooms: Rooms, signs: bool, stopping: CancellationToken) {
    let signing = &rooms.signing;
    let mut looks = tokio::time::interval(LOOK_EVERY);
    let mut advanced = rooms.now();
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = looks.tick() => {}
        }
        let now = rooms.now();
        let due = signs && (now.since(advanced) >= ADVANCE_EVERY || now < advanced);
        let done = if due { signing.advance(now).await } else { signing.load().await };
        if due {
            advanced = now;
        }
        if let Err(error) = done {
            tracing::warn!(%error, "the signing keys were not read again; those that are known go on");
        }
    }
}

pub(super) fn signs(settings: &Settings) -> bool {
    issuer(settings).is_some()
}

/// What ended, or was over, so long ago is in nobody's list any more.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// What its holder ended; longer than anything signed for it lasts.
const KEPT_OF_HOLDER: Duration = Duration::from_secs(24 * 3600);
const FORGET_EVERY: Duration = Duration::from_secs(600);
/// In one transaction.
const PART: u32 = 500;

/// Idempotent, so that it does not matter how many processes do it.
pub(super) async fn forget(rooms: Rooms, stopping: CancellationToken) {
    let mut ticks = tokio::time::interval(FORGET_EVERY);
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let now = rooms.now();
        let before =
            Before { over: now.saturating_sub(KEPT), ended_by_holder: now.saturating_sub(KEPT_OF_HOLDER) };
        let mut gone = u64::from(PART);
        while gone == u64::from(PART) && !stopping.is_cancelled() {
            gone = SessionStore::prune(&*rooms.store, before, PART).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "sessions that were over long ago were not removed");
                0
            });
        }
    }
}
