//! One file per file of the room that has something to get wrong. What fails comes first.

#![expect(clippy::string_slice, reason = "a key is ascii, and tests know where its parts stand")]

mod authenticator;
mod credential;
mod import;
mod issue;
mod record;
mod uses;
mod verify;

use super::{
    authenticator::ApiKeyAuthenticator,
    config::ApiKeyConfig,
    credential::KeyFormats,
    issue::{ApiKeyIssuer, Lifetime, NewKey},
    record::{ApiKeyRecord, Environment},
    uses::Uses,
};
use crate::{
    fakes::{FakeStore, NOW, Sequence, config, now_or_never, peppers, principal, scopes},
    principal::caller::Caller,
};
use countersign_core::{PrincipalId, check::limit::PlanName};
use countersign_crypto::{FingerprintKey, token::format::TokenFormat};
use std::{sync::Arc, time::Duration};

const DAY: Duration = Duration::from_secs(86_400);

/// One deployment: a store with the service `demo` in it, an issuer and an authenticator.
struct House {
    store: Arc<FakeStore>,
    issuer: ApiKeyIssuer,
    authenticator: ApiKeyAuthenticator,
    uses: Arc<Uses>,
}

impl House {
    fn new() -> Self {
        Self::with(config())
    }

    fn with(config: ApiKeyConfig) -> Self {
        let store = FakeStore::with([principal("demo", "orders:read orders:write")]);
        let entropy = Arc::new(Sequence::default());
        let fingerprint = Arc::new(FingerprintKey::new(&*entropy));
        let uses = Arc::new(Uses::default());
        let plans = [PlanName::parse("gold").unwrap()].into();
        let issuer =
            ApiKeyIssuer::new(store.clone(), store.clone(), peppers(), config.clone(), plans, entropy)
                .unwrap();
        let authenticator = ApiKeyAuthenticator::new(
            store.clone(),
            peppers(),
            config,
            fingerprint,
            (uses.clone(), Arc::default()),
        )
        .unwrap();
        Self { store, issuer, authenticator, uses }
    }

    fn issuer_format(&self) -> TokenFormat {
        formats().ours().clone()
    }

    /// A good key with `orders:read`.
    fn key(&self) -> (ApiKeyRecord, String) {
        let issued = now_or_never(self.issuer.create(new_key(), &Caller::host(), NOW)).unwrap();
        let (record, secret) = issued.reveal();
        (record, secret.expose().to_string())
    }
}

fn demo() -> PrincipalId {
    principal("demo", "").id
}

fn new_key() -> NewKey {
    NewKey {
        owner: demo(),
        label: String::new(),
        scopes: scopes("orders:read"),
        lifetime: Lifetime::Default,
        networks: Vec::new(),
        limit: None,
        plan: None,
    }
}

/// The right shape and checksum, and nobody's.
fn stranger(environment: Environment) -> String {
    let format = TokenFormat::new("cs", environment.as_str()).unwrap();
    let entropy = Sequence::default();
    format.generate(&entropy); // the first of this sequence may be somebody's
    format.generate(&entropy).token.expose().to_string()
}

fn formats() -> KeyFormats {
    KeyFormats::new(&config()).unwrap()
}

/// A word that breaks the grammar of words stops the start, here as in every room.
#[test]
fn a_bad_word_is_refused_at_the_start() {
    for word in ["", "CS", "c_s", "seventeenletterss"] {
        let bad = ApiKeyConfig { word: word.into(), ..config() };
        assert!(KeyFormats::new(&bad).is_err(), "`{word}`");
    }
}
