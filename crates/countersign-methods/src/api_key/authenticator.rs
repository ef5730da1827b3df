//! The use of a key, over ports: find -> look up -> verify.

use super::{
    config::ApiKeyConfig,
    credential::{self, KeyFormats, PlainKey, shown},
    foreign,
    record::KeyId,
    store::ApiKeyStore,
    uses::Uses,
    verify::{Judged, look_up, verify},
};
use crate::{
    exposure::Exposures,
    user_pass::{self, LONGEST, Wiped},
};
use countersign_core::{
    Authentication, Authenticator, Found, MethodName, MethodRule, Place, Presented, Refusal, Rejection,
    Timestamp,
    authenticator::{CacheKey, Confirmation, Ending, Verification},
    challenge::Challenge,
    check::{request::CheckRequest, route::Route},
};
use countersign_crypto::{
    FingerprintKey,
    token::{digest::Peppers, format::WordError},
};
use std::sync::Arc;

#[derive(Debug)]
pub struct ApiKeyAuthenticator {
    store: Arc<dyn ApiKeyStore>,
    peppers: Arc<Peppers>,
    config: ApiKeyConfig,
    formats: KeyFormats,
    /// RULES 1.1: method and configuration of the room (word and environment), part of every cache key.
    tag: Box<[u8]>,
    fingerprint: Arc<FingerprintKey>,
    uses: Arc<Uses>,
    exposures: Arc<Exposures>,
}

impl ApiKeyAuthenticator {
    pub fn new(
        store: Arc<dyn ApiKeyStore>,
        peppers: Arc<Peppers>,
        config: ApiKeyConfig,
        fingerprint: Arc<FingerprintKey>,
        (uses, exposures): (Arc<Uses>, Arc<Exposures>),
    ) -> Result<Self, WordError> {
        let formats = KeyFormats::new(&config)?;
        let tag = format!("{} {}", MethodName::ApiKey.as_str(), formats.ours().name());
        Ok(Self {
            store,
            peppers,
            config,
            formats,
            tag: tag.into_bytes().into(),
            fingerprint,
            uses,
            exposures,
        })
    }

    /// Only of what has the shape of a key.
    fn cache_key(&self, place: Place, key: &[u8]) -> Result<CacheKey, Rejection> {
        self.formats.parse(key)?;
        Ok(CacheKey(self.fingerprint.of(&[&self.tag, place_tag(place), key])))
    }

    async fn look_up_and_verify(
        &self,
        presented: Presented<'_>,
        now: Timestamp,
    ) -> Result<Authentication, Refusal> {
        // Parsed again rather than carried along: it takes no longer than passing it through the seam would.
        let mut buffer = Wiped::new();
        let shown = shown(presented.place, presented.credential, &mut buffer).map_err(Refusal::Rejected)?;
        let key = self.formats.parse(shown).map_err(Refusal::Rejected)?;
        let record = look_up(&*self.store, &key, &self.peppers).await?;
        let with =
            Judged { peppers: &self.peppers, config: &self.config, prefix: self.formats.ours().name(), now };
        let known = verify(&key, presented.place, record.as_ref(), with).map_err(|failure| {
            if failure == super::verify::Failure::PepperMissing {
                let id = record.as_ref().map(|record| record.id);
                tracing::error!(key = ?id, "a key names a pepper that is not configured");
            }
            failure.refusal()
        })?;
        if let (PlainKey::Imported(value), Some(record)) = (key, &record)
            && let Some(upgrade) = foreign::upgrade(value, record, &self.peppers)
        {
            self.uses.upgrade(upgrade);
        }
        Ok(known)
    }
}

impl Authenticator for ApiKeyAuthenticator {
    fn method(&self) -> MethodName {
        MethodName::ApiKey
    }

    fn find<'r>(&self, request: &CheckRequest<'r>, accepts: &MethodRule) -> Found<'r> {
        let (place, credential) = match credential::find(request, accepts, &self.formats) {
            Ok(None) => return Found::Absent,
            Err(rejection) => return Found::Bad(rejection),
            Ok(Some(found)) => found,
        };
        let mut presented = Presented { cache_key: None, place, credential, from: request.peer.address };
        if place == Place::Password {
            let mut buffer = [0; LONGEST];
            let key = match shown(presented.place, presented.credential, &mut buffer) {
                Ok(shown) => self.cache_key(place, shown),
                Err(rejection) => Err(rejection),
            };
            return match key {
                Ok(key) => Found::Present(Presented { cache_key: Some(key), ..presented }),
                Err(rejection) => Found::Bad(rejection),
            };
        }
        match self.cache_key(place, credential) {
            Ok(key) => presented.cache_key = Some(key),
            Err(rejection) => return Found::Bad(rejection),
        }
        Found::Present(presented)
    }

    fn verify<'a>(
        &'a self,
        presented: Presented<'a>,
        _accepts: &'a MethodRule,
        now: Timestamp,
    ) -> Verification<'a> {
        Box::pin(self.look_up_and_verify(presented, now))
    }

    /// A key proves nothing beyond itself.
    fn confirm<'a>(
        &'a self,
        _known: &'a Authentication,
        _request: &'a CheckRequest<'_>,
        _now: Timestamp,
    ) -> Confirmation<'a> {
        Confirmation::Done(Ok(()))
    }

    /// A rotation moves it forward.
    fn ends<'a>(&'a self, known: &'a Authentication, now: Timestamp) -> Ending<'a> {
        Box::pin(async move {
            let Some(key) = KeyId::parse(known.credential.as_str()) else { return Ok(Some(now)) };
            let record = self.store.find(&key).await?;
            Ok(record.map_or(Some(now), |record| record.expires_at))
        })
    }

    /// A key in a header of its own is challenged as `Bearer` (PRODUCT, Answers): `X-API-Key` is no scheme.
    /// Where it may stand as a password too, whoever asks for that is asked for it.
    fn challenge(&self, route: &Route) -> Option<Challenge> {
        let rule = route.rule(MethodName::ApiKey);
        if rule.keys_as_passwords {
            return user_pass::challenge(
                rule.realm.as_deref().unwrap_or(&self.config.realm),
                rule.asks_browsers,
            );
        }
        Challenge::new("Bearer", &[("realm", &self.config.realm)])
    }

    fn exposed(&self, presented: &Presented<'_>, now: Timestamp) {
        self.exposures.note(MethodName::ApiKey, presented, now);
    }

    fn used(&self, known: &Authentication, _route: &Route, now: Timestamp) {
        if known.noted.is_due(now)
            && let Some(key) = KeyId::parse(known.credential.as_str())
        {
            self.uses.note(key, now);
        }
    }
}

fn place_tag(place: Place) -> &'static [u8] {
    match place {
        Place::Authorization => b"a",
        Place::Password => b"p",
        Place::Header => b"h",
        Place::Query => b"q",
        Place::Cookie => b"c",
        Place::Handshake => b"t",
    }
}
