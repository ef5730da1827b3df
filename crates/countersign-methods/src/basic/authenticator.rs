//! The use of Basic, over ports: find -> may it be tried? -> look up -> hash -> verify.

use super::{
    app_password,
    config::BasicConfig,
    credential::{self, LONGEST, UserPass},
    issue::rehashed,
    record::{PasswordRecord, Person},
    store::BasicStore,
    uses::Uses,
    verify::{self, Failure, signed_in},
};
use crate::{
    exposure::{Exposed, Exposures},
    password::{
        Pause,
        normal::{NORMAL_VERSION, Password, UserName},
        throttle::{Gate, SourceNetwork, Throttle},
    },
    user_pass::{Wiped, challenge},
};
use countersign_core::{
    Authentication, Authenticator, Clock, CredentialId, Found, MethodName, MethodRule, Place, Presented,
    Refusal, Timestamp,
    authenticator::{CacheKey, Confirmation, Verification},
    challenge::Challenge,
    check::{request::CheckRequest, route::Route},
    principal::{Principal, PrincipalName},
};
use countersign_crypto::{
    Entropy, FingerprintKey, SecretString,
    password::{self, HashPool, PasswordHash},
    token::{
        digest::Peppers,
        format::{PlainToken, TokenFormat, WordError},
    },
};
use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// What a hash is taken to need before one was made.
const FIRST_GUESS: Duration = Duration::from_millis(20);

/// What the room is made of.
#[derive(Debug, Clone)]
pub struct Parts {
    pub store: Arc<dyn BasicStore>,
    pub peppers: Arc<Peppers>,
    pub pool: Arc<HashPool<SourceNetwork>>,
    pub throttle: Arc<Throttle>,
    pub fingerprint: Arc<FingerprintKey>,
    pub entropy: Arc<dyn Entropy>,
    pub clock: Arc<dyn Clock>,
    pub pause: Arc<dyn Pause>,
    pub uses: Arc<Uses>,
    pub exposures: Arc<Exposures>,
    pub config: BasicConfig,
}

#[derive(Debug)]
pub struct BasicAuthenticator {
    parts: Parts,
    app_passwords: TokenFormat,
    /// `cs_live_` and `cs_test_`: what begins so is a key.
    keys: [Box<str>; 2],
    /// For who does not exist.
    nobody: PasswordHash,
    /// What a hash took of late, in microseconds, the wait for it included.
    took: AtomicU64,
}

impl BasicAuthenticator {
    pub fn new(parts: Parts) -> Result<Self, WordError> {
        let word = &parts.config.word;
        let took = u64::try_from(FIRST_GUESS.as_micros()).unwrap_or_default();
        Ok(Self {
            app_passwords: app_password::format(word)?,
            keys: ["live", "test"].map(|environment| format!("{word}_{environment}_").into()),
            nobody: password::dummy(&parts.config.argon2),
            took: AtomicU64::new(took),
            parts,
        })
    }

    fn is_key(&self, password: &str) -> bool {
        self.keys.iter().any(|prefix| password.starts_with(&**prefix))
    }

    async fn look_up_and_verify(
        &self,
        presented: Presented<'_>,
        now: Timestamp,
    ) -> Result<Authentication, Failure> {
        // Decoded again rather than carried along, and wiped when this ends; on the heap, since a future is moved about.
        let mut buffer = Wiped::new();
        // `find` has judged its form
        let UserPass { user, password } =
            credential::decode(presented.credential, &mut buffer).map_err(|_| Failure::Impossible)?;
        let user = UserName::parse(user).map_err(|_| Failure::Impossible)?;
        if let Ok(token) = self.app_passwords.parse(password.as_bytes()) {
            return self.app_password(&user, &token, now).await;
        }
        let (principal, record, now) = self.person(&user, password, presented.from, now).await?;
        Ok(signed_in(&principal, &record, now))
    }

    /// Whose was seen where it should not have been, if anybody's: the secret is right, and it is still good.
    pub async fn exposed(&self, exposed: &Exposed, now: Timestamp) -> Option<Authentication> {
        let Exposed { place, ref credential, from, .. } = *exposed;
        let presented = Presented { cache_key: None, place, credential: credential.expose(), from };
        self.look_up_and_verify(presented, now).await.ok()
    }

    /// Whose password is it? For who changes it.
    pub(super) async fn sign_in(
        &self,
        user: &str,
        password: &str,
        from: IpAddr,
        now: Timestamp,
    ) -> Result<(Principal, PasswordRecord), Failure> {
        let user = UserName::parse(user).map_err(|_| Failure::Impossible)?;
        let (principal, record, _) = self.person(&user, password, from, now).await?;
        Ok((principal, record))
    }

    async fn app_password(
        &self,
        user: &UserName,
        token: &PlainToken<'_>,
        now: Timestamp,
    ) -> Result<Authentication, Failure> {
        let id = CredentialId::new(token.id());
        let found = self.parts.store.find_app_password(&id).await.map_err(|_| Failure::Busy)?;
        let with = (&*self.parts.peppers, self.app_passwords.name());
        verify::app_password(user.as_str(), token, found.as_ref(), with, now)
    }

    /// The order is the rule (RULES 5.1): counters before the hash, a hash whether there is such a person or not.
    async fn person(
        &self,
        user: &UserName,
        password: &str,
        from: IpAddr,
        now: Timestamp,
    ) -> Result<(Principal, PasswordRecord, Timestamp), Failure> {
        let typed = SecretString::new(password.to_owned());
        let password = Password::parse(typed.expose()).map_err(|_| Failure::Impossible)?;
        let candidate = Candidate { password, typed };
        let network = SourceNetwork::from(from);
        let account = self.parts.throttle.account(user);
        let Gate::Open(attempt) = self.parts.throttle.before(account, network, now) else {
            // who is not let through hears it no sooner than a hash takes
            self.parts.pause.pause(Duration::from_micros(self.took.load(Ordering::Relaxed))).await;
            return Err(Failure::Throttled);
        };
        let person = match PrincipalName::parse(user.as_str()) {
            None => None,
            Some(name) => match self.parts.store.find_person(&name).await {
                Ok(person) => person,
                Err(_) => {
                    attempt.withdrawn();
                    return Err(Failure::Busy);
                }
            },
        };
        let known = person.and_then(|Person { principal, password }| Some((principal, password?)));
        let hash = known.as_ref().map_or(&self.nobody, |(_, record)| &record.hash).clone();
        // ours were made of what is normal
        let as_typed = known.as_ref().is_some_and(|(_, record)| record.normal != NORMAL_VERSION);
        let began = self.parts.clock.now();
        let verified = self.hashed(network, candidate, (hash, as_typed)).await;
        let now = self.parts.clock.now();
        let Some((candidate, fits)) = verified else {
            attempt.withdrawn();
            return Err(Failure::Busy);
        };
        self.note_time(now.since(began));
        match known {
            Some((principal, record)) if fits => {
                attempt.succeeded(now);
                self.keep_better(network, candidate, &record, now).await;
                Ok((principal, record, now))
            }
            known => {
                attempt.failed(now);
                Err(if known.is_some() { Failure::WrongPassword } else { Failure::Unknown })
            }
        }
    }

    /// `None`: there was no room, or the thread came to grief.
    async fn hashed(
        &self,
        network: SourceNetwork,
        candidate: Candidate,
        (hash, as_typed): (PasswordHash, bool),
    ) -> Option<(Candidate, bool)> {
        let work = move || {
            let fits = candidate.fits(&hash, as_typed);
            (candidate, fits)
        };
        self.parts.pool.submit(network, work).ok()?.await
    }

    /// RULES 5.2: a hash of another product, or of other parameters, or of a text that nobody made normal, is replaced now that the password is at hand. That it
    /// could not be is no reason to refuse who was right.
    async fn keep_better(
        &self,
        network: SourceNetwork,
        candidate: Candidate,
        record: &PasswordRecord,
        now: Timestamp,
    ) {
        let argon2 = self.parts.config.argon2;
        if record.hash.is_current(&argon2) && record.normal == NORMAL_VERSION {
            return;
        }
        let entropy = self.parts.entropy.clone();
        let work = move || password::hash(candidate.password.expose().as_bytes(), &argon2, &*entropy);
        let Ok(waiting) = self.parts.pool.submit(network, work) else { return };
        let Some(Ok(hash)) = waiting.await else { return };
        let event = rehashed(record, &hash, now);
        let (principal, was) = (&record.principal, record.hash.clone());
        if let Err(error) = self.parts.store.rehash(principal, record.version, was, hash, event).await {
            tracing::warn!(%error, principal = %record.principal, "a password is kept under its old hash; its next use tries again");
        }
    }

    /// One eighth of the way to what it took just now.
    fn note_time(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let before = self.took.load(Ordering::Relaxed);
        let after = before - before / 8 + took / 8;
        self.took.store(after.min(1_000_000), Ordering::Relaxed);
    }
}

/// A password as it may have been hashed: made normal, as we do, or as it was typed, as others do.
struct Candidate {
    password: Password,
    typed: SecretString,
}

impl Candidate {
    fn fits(&self, hash: &PasswordHash, as_typed: bool) -> bool {
        let (normal, typed) = (self.password.expose(), self.typed.expose());
        password::verify(normal.as_bytes(), hash)
            || as_typed && normal != typed && password::verify(typed.as_bytes(), hash)
    }
}

impl Authenticator for BasicAuthenticator {
    fn method(&self) -> MethodName {
        MethodName::Basic
    }

    fn find<'r>(&self, request: &CheckRequest<'r>, accepts: &MethodRule) -> Found<'r> {
        let encoded = match credential::find(request) {
            Ok(None) => return Found::Absent,
            Err(rejection) => return Found::Bad(rejection),
            Ok(Some(encoded)) => encoded,
        };
        let mut buffer = [0; LONGEST];
        let UserPass { user, password } = match credential::decode(encoded, &mut buffer) {
            Ok(found) => found,
            Err(rejection) => return Found::Bad(rejection),
        };
        if self.is_key(password) {
            // the room of keys reads it, where the route says so (RULES 1.4)
            return if accepts.keys_as_passwords { Found::Absent } else { bad(Failure::Key) };
        }
        // RULES 5.1: the yes of one place is none of another, or whoever guesses would hear it past the throttle
        let network = SourceNetwork::from(request.peer.address).octets();
        let cache_key = self.parts.fingerprint.of(&[TAG, &network, user.as_bytes(), password.as_bytes()]);
        Found::Present(Presented {
            cache_key: Some(CacheKey(cache_key)),
            place: Place::Authorization,
            credential: encoded,
            from: request.peer.address,
        })
    }

    fn verify<'a>(
        &'a self,
        presented: Presented<'a>,
        _accepts: &'a MethodRule,
        now: Timestamp,
    ) -> Verification<'a> {
        Box::pin(async move {
            self.look_up_and_verify(presented, now).await.map_err(|failure| {
                if failure == Failure::PepperMissing {
                    tracing::error!("an app password names a pepper that is not configured");
                }
                failure.refusal()
            })
        })
    }

    /// A password proves nothing beyond itself; whose page sent it is the judgement's to ask (RULES 1.6).
    fn confirm<'a>(
        &'a self,
        _known: &'a Authentication,
        _request: &'a CheckRequest<'_>,
        _now: Timestamp,
    ) -> Confirmation<'a> {
        Confirmation::Done(Ok(()))
    }

    /// RFC 7617 2, 2.1: realm and charset.
    fn challenge(&self, route: &Route) -> Option<Challenge> {
        let rule = route.rule(MethodName::Basic);
        challenge(rule.realm.as_deref().unwrap_or(&self.parts.config.realm), rule.asks_browsers)
    }

    fn exposed(&self, presented: &Presented<'_>, now: Timestamp) {
        self.parts.exposures.note(MethodName::Basic, presented, now);
    }

    fn used(&self, known: &Authentication, route: &Route, now: Timestamp) {
        self.parts.uses.note(known, &route.name, now);
    }
}

/// RULES 1.1: method and place; the room has one configuration.
const TAG: &[u8] = b"basic";

fn bad(failure: Failure) -> Found<'static> {
    match failure.refusal() {
        Refusal::Rejected(rejection) => Found::Bad(rejection),
        Refusal::Unavailable => Found::Absent,
    }
}
