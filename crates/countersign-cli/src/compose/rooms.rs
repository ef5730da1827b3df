//! The store and the rooms over it, without anybody listening: what the host itself needs.

use crate::{
    config::{PasswordSettings, Settings},
    keyring::{self, Keyring, Needs},
    output::Failure,
};
use countersign_core::{BoxFuture, Clock, StoreError, Timestamp, page::PageRequest};
use countersign_crypto::{
    Entropy, FingerprintKey,
    hash::sha1_for_breached_password_lists,
    key::AttestKeys,
    password::{HashPool, PoolLimits},
    random_id,
    token::{digest::Peppers, mark::MarkKeys},
};
use countersign_methods::{
    api_key::{
        authenticator::ApiKeyAuthenticator, config::ApiKeyConfig, issue::ApiKeyIssuer, store::ApiKeyStore,
        uses::Uses,
    },
    basic::{
        authenticator::{BasicAuthenticator, Parts as BasicParts},
        issue::BasicIssuer,
        store::BasicStore,
        uses::Uses as BasicUses,
    },
    exposure::Exposures,
    password::{
        breached::{AnyOf, Breached, CommonPasswords, CompactFilter},
        throttle::{SourceNetwork, Throttle, ThrottleSettings},
    },
    principal::{
        issue::PrincipalIssuer,
        store::{PrincipalQuery, PrincipalStore},
    },
    session::uses::Uses as SessionUses,
    signing::{issue::SigningKeyIssuer, keys::SigningKeys},
};
use countersign_store::{Store, StoreOptions};
use std::{num::NonZeroUsize, path::Path, sync::Arc, time::Duration};

/// `countersign dev` made this store.
pub const DEVELOPMENT: &str = "development";

/// In `meta`: the store's own name.
const STORE_ID: &str = "store_id";

/// Time and chance, which come in by argument.
#[derive(Debug, Clone)]
pub struct World {
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

impl World {
    pub fn of_machine() -> Self {
        Self {
            clock: Arc::new(countersign_store::local::SystemClock),
            entropy: Arc::new(countersign_crypto::SystemEntropy),
        }
    }
}

/// The store and the rooms over it, without anybody listening.
#[derive(Debug, Clone)]
pub struct Rooms {
    pub world: World,
    pub store: Arc<Store>,
    pub config: ApiKeyConfig,
    pub api_keys: Arc<ApiKeyIssuer>,
    pub principals: Arc<PrincipalIssuer>,
    pub basic: Arc<BasicIssuer>,
    pub(super) authenticator: Arc<ApiKeyAuthenticator>,
    pub(super) passwords: Arc<BasicAuthenticator>,
    pub(super) fingerprint: Arc<FingerprintKey>,
    pub(super) attest: Option<Arc<AttestKeys>>,
    pub signing: Arc<SigningKeyIssuer>,
    /// What sessions' tokens are marked by; `None`: the keyring has none.
    pub(super) marks: Option<Arc<MarkKeys>>,
    pub(super) session_uses: Arc<SessionUses>,
    /// For what must be recognised by every process.
    pub(super) kept_fingerprint: Option<Arc<FingerprintKey>>,
    pub(super) uses: Arc<Uses>,
    pub(super) basic_uses: Arc<BasicUses>,
    pub(super) exposures: Arc<Exposures>,
    pub(super) watched_passwords: PasswordWatch,
}

/// What is counted of passwords.
#[derive(Debug, Clone)]
pub(super) struct PasswordWatch {
    pub(super) pool: Arc<HashPool<SourceNetwork>>,
    pub(super) throttle: Arc<Throttle>,
}

impl Rooms {
    /// Must be called on the control runtime.
    pub async fn open(settings: &Settings, world: World) -> Result<Self, Failure> {
        let control = tokio::runtime::Handle::current();
        let options = StoreOptions::new(control, world.clock.clone());
        let store = Store::open(&settings.store_url.0, options).await.map_err(|e| {
            Failure::failed(format!("cannot open the store: {e}"))
                .todo("is the path of `[store] url` right, and may this user write there?")
        })?;
        let now = world.clock.now();
        let Keyring { peppers, attest, fingerprint: kept, seal, cookie } =
            keyring::open(&settings.keyring, &needs(&store, now).await?, &*world.entropy)?;
        remember(&store, &peppers, &settings.keyring.path).await?;
        // of its own, so that a head of another store is told apart
        store.settle_meta(STORE_ID, &random_id(&*world.entropy, 16)).await.map_err(store_failed)?;
        let peppers = Arc::new(peppers);
        let config = settings.api_keys.clone();
        let fingerprint = Arc::new(FingerprintKey::new(&*world.entropy));
        let uses = Arc::new(Uses::default());
        let word = |_| Failure::failed(format!("`{}` cannot begin a key", config.word));
        let basic_uses = Arc::new(BasicUses::default());
        let exposures = Arc::new(Exposures::default());
        let basic = BasicParts {
            store: store.clone(),
            peppers: peppers.clone(),
            pool: Arc::new(pool(&settings.passwords)?),
            throttle: Arc::new(Throttle::new(
                ThrottleSettings::default(),
                FingerprintKey::new(&*world.entropy),
            )),
            fingerprint: fingerprint.clone(),
            entropy: world.entropy.clone(),
            clock: world.clock.clone(),
            pause: Arc::new(Pause),
            uses: basic_uses.clone(),
            exposures: exposures.clone(),
            config: settings.passwords.config.clone(),
        };
        let watched_passwords = PasswordWatch { pool: basic.pool.clone(), throttle: basic.throttle.clone() };
        let breached = breached(&settings.passwords)?;
        let passwords = Arc::new(BasicAuthenticator::new(basic.clone()).map_err(word)?);
        let basic = BasicIssuer::new(basic, store.clone(), passwords.clone(), breached).map_err(word)?;
        let authenticator = ApiKeyAuthenticator::new(
            store.clone(),
            peppers.clone(),
            config.clone(),
            fingerprint.clone(),
            (uses.clone(), exposures.clone()),
        )
        .map_err(word)?;
        let plans = settings.plans.keys().cloned().collect();
        let entropy = world.entropy.clone();
        let api_keys =
            ApiKeyIssuer::new(store.clone(), store.clone(), peppers, config.clone(), plans, entropy)
                .map_err(word)?;
        let principals = PrincipalIssuer::new(store.clone(), world.entropy.clone());
        let keys = Arc::new(SigningKeys::new(Arc::new(seal)));
        let signing =
            SigningKeyIssuer::new(store.clone(), keys, settings.signing.clone(), world.entropy.clone());
        Ok(Self {
            world,
            store,
            config,
            api_keys: Arc::new(api_keys),
            principals: Arc::new(principals),
            basic: Arc::new(basic),
            passwords,
            authenticator: Arc::new(authenticator),
            fingerprint,
            attest: attest.map(Arc::new),
            signing: Arc::new(signing),
            marks: cookie.map(Arc::new),
            session_uses: Arc::default(),
            kept_fingerprint: kept.map(Arc::new),
            uses,
            basic_uses,
            exposures,
            watched_passwords,
        })
    }

    pub fn now(&self) -> Timestamp {
        self.world.clock.now()
    }

    pub async fn is_development(&self) -> Result<bool, Failure> {
        Ok(self.store.meta(DEVELOPMENT).await.map_err(store_failed)?.is_some())
    }
}

/// The threads that hash, and nothing else.
fn pool(settings: &PasswordSettings) -> Result<HashPool<SourceNetwork>, Failure> {
    let usual = PoolLimits::for_this_machine();
    let threads = settings.threads.unwrap_or(usual.threads);
    let per_thread = |n: usize| threads.saturating_mul(NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN));
    let limits = PoolLimits {
        threads,
        waiting: settings.waiting.unwrap_or(per_thread(64)),
        waiting_per_key: settings.waiting.unwrap_or(per_thread(8)).min(per_thread(8)),
    };
    HashPool::new(limits)
        .map_err(|e| Failure::failed(format!("cannot start the threads that hash passwords: {e}")))
}

/// What no new password may be.
fn breached(settings: &PasswordSettings) -> Result<Arc<dyn Breached>, Failure> {
    let Some(file) = &settings.breached else { return Ok(Arc::new(CommonPasswords)) };
    let shown = file.display();
    let bytes = std::fs::read(file).map_err(|e| Failure::failed(format!("cannot read `{shown}`: {e}")))?;
    let filter = CompactFilter::from_bytes(&bytes, sha1_for_breached_password_lists).map_err(|e| {
        Failure::failed(format!("`{shown}` is no list of known passwords: {e}"))
            .todo("make one from a download with `countersign password-list build`")
    })?;
    Ok(Arc::new(AnyOf(vec![Arc::new(CommonPasswords), Arc::new(filter)])))
}

/// By the runtime of whoever waits.
#[derive(Debug)]
struct Pause;

impl countersign_methods::password::Pause for Pause {
    fn pause(&self, length: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(length))
    }
}

async fn needs(store: &Store, now: Timestamp) -> Result<Needs, Failure> {
    let mut named = ApiKeyStore::peppers(store, now).await.map_err(store_failed)?;
    named.extend(BasicStore::app_password_peppers(store, now).await.map_err(store_failed)?);
    named.sort_unstable();
    named.dedup();
    let query = PrincipalQuery { page: PageRequest { after: None, limit: 1 }, ..PrincipalQuery::default() };
    let anybody = PrincipalStore::list(store, query).await.map_err(store_failed)?;
    Ok(Needs { named, empty: anybody.items.is_empty() })
}

/// A pepper of the right number and another secret would refuse every key: the store remembers which is which.
async fn remember(store: &Store, peppers: &Peppers, keyring: &Path) -> Result<(), Failure> {
    let row = |number| format!("pepper_{number}");
    let current = row(peppers.current());
    if store.meta(&current).await.map_err(store_failed)?.is_none() {
        store.set_meta(&current, &keyring::mark(peppers)).await.map_err(store_failed)?;
    }
    for number in peppers.numbers() {
        // read again, also what was just written: another process may have begun at the same time
        let mark = store.meta(&row(number)).await.map_err(store_failed)?;
        if mark.is_some_and(|mark| !keyring::fits(peppers, number, &mark)) {
            return Err(Failure::failed(format!(
                "pepper {number} of `{}` is not the one of this store",
                keyring.display()
            ))
            .todo(
                "its keys cannot be verified with this one: put back the keyring that belongs to this store",
            ));
        }
    }
    Ok(())
}

pub fn store_failed(error: StoreError) -> Failure {
    Failure::failed(format!("the store does not answer: {error}"))
}
