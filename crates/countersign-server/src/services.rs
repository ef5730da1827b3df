//! What the handlers reach: issuers, ports, two decision points. Put together by the composition root.

use crate::{
    observe::{Probing, Watched},
    problem::Problem,
};
use countersign_core::{
    Clock,
    audit::AuditStore,
    check::{
        DecisionPoint,
        limit::{Charge, Counter, LimitKey, RateLimit},
        revocation::RevocationFeed,
        route::RouteStore,
    },
    directory::Directory,
    idempotency::IdempotencyStore,
};
use countersign_crypto::{Entropy, fingerprint::FingerprintKey, key::AttestKeys};
use countersign_methods::{
    api_key::{issue::ApiKeyIssuer, store::ApiKeyStore},
    basic::{issue::BasicIssuer, store::BasicStore},
    jwt::{authenticator::JwtAuthenticator, issue::JwtIssuer},
    principal::{issue::PrincipalIssuer, store::PrincipalStore},
    revocation::store::FeedStore,
    session::issue::SessionIssuer,
    signing::issue::SigningKeyIssuer,
};
use countersign_tower::respond::Options;
use std::{net::IpAddr, sync::Arc, time::Duration};

/// What first-party sessions are made of.
#[derive(Debug)]
pub struct Sessions {
    pub issuer: Arc<SessionIssuer>,
    pub tokens: Arc<JwtIssuer>,
}

#[derive(Debug)]
pub struct Services {
    pub api_keys: Arc<ApiKeyIssuer>,
    pub principals: Arc<PrincipalIssuer>,
    pub basic: Arc<BasicIssuer>,
    pub signing: Arc<SigningKeyIssuer>,
    /// The gateway's own judge of signed tokens; also where nobody signs in.
    pub jwt: Arc<JwtAuthenticator>,
    /// `None`: the configuration has none.
    pub sessions: Option<Arc<Sessions>>,
    pub api_key_store: Arc<dyn ApiKeyStore>,
    pub principal_store: Arc<dyn PrincipalStore>,
    pub basic_store: Arc<dyn BasicStore>,
    pub feed_store: Arc<dyn FeedStore>,
    pub audit: Arc<dyn AuditStore>,
    pub idempotency: Arc<dyn IdempotencyStore>,
    /// What this process knows of the feed.
    pub feed: Arc<dyn RevocationFeed>,
    /// For the names of owners.
    pub directory: Arc<dyn Directory>,
    /// Judges the requests to the admin API, over [`crate::admin_routes`].
    pub door: Arc<DecisionPoint>,
    /// Judges the gateway's requests: asked by `POST /routes/check`, and only rehearsed there.
    pub gateway: Arc<DecisionPoint>,
    pub gateway_routes: Arc<dyn RouteStore>,
    pub watched: Arc<dyn Watched>,
    pub probing: Arc<dyn Probing>,
    pub counter: Arc<dyn Counter>,
    pub limits: Limits,
    /// How a refusal by the door reads.
    pub answers: Options,
    pub fingerprint: Arc<FingerprintKey>,
    /// By which a request that was sent before is recognised, whichever process it comes to; `None`: the keyring has no
    /// key for it.
    pub kept_fingerprint: Option<Arc<FingerprintKey>>,
    /// Signs the head of the trail; `None`: the keyring has no key for it.
    pub attest: Option<Arc<AttestKeys>>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

/// How often one may ask what could serve for guessing.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// `POST /api-keys/verify` and `POST /routes/check`, per principal that asks.
    pub verify: RateLimit,
    /// `POST /revoke` and `POST /password`, per source network.
    pub revoke: RateLimit,
    /// Sign-ins per person, and what asks for a session with nothing in hand per source network.
    pub login: RateLimit,
    /// `POST /.countersign/session/refresh`, per session.
    pub refresh: RateLimit,
    /// `POST /.countersign/session/exchange`, per credential.
    pub exchange: RateLimit,
}

impl Default for Limits {
    fn default() -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        Self {
            verify: RateLimit { quota: 120, window: MINUTE },
            revoke: RateLimit { quota: 30, window: MINUTE },
            login: RateLimit { quota: 120, window: MINUTE },
            refresh: RateLimit { quota: 120, window: MINUTE },
            exchange: RateLimit { quota: 120, window: MINUTE },
        }
    }
}

impl Services {
    /// Count one use of `what` by `who`, or say how long to wait.
    pub(crate) fn charge(&self, what: &str, who: &[u8], limit: &RateLimit) -> Result<(), Problem> {
        let hash = self.fingerprint.of(&[b"server", what.as_bytes(), who]);
        let (left, right) = hash.split_at(16);
        let half = |bytes: &[u8]| bytes.iter().take(8).fold(0_u64, |sum, b| sum << 8 | u64::from(*b));
        match self.counter.charge(LimitKey(half(left), half(right)), limit, self.clock.now()) {
            Charge::Within { .. } => Ok(()),
            Charge::Over { retry_after } => Err(Problem::too_many(retry_after, what)),
        }
    }
}

/// The network that failures and floods are counted by (RULES 2.4): /32, /64, mapped addresses unmapped.
pub(crate) fn network_of(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(four) => four.octets().to_vec(),
        IpAddr::V6(six) => six.octets().into_iter().take(8).collect(),
    }
}
