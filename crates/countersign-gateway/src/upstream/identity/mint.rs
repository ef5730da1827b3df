//! `Countersign-Identity`: who calls, as a JWT that an upstream can verify by itself. Minted at most once per set of
//! authentications, upstream and 30 s (RULES 3.3), because a signature costs more than everything else here.

use super::{COUNTERSIGN_IDENTITY, Unrepresentable};
use crate::{
    upstream::{config::UpstreamConfig, forward::Failure},
    worker::Worker,
};
use countersign_core::{
    Authentication, Timestamp,
    check::decision::{Known, Permit},
    directory::Standing,
    word_hash::WordHasher,
};
use http::HeaderValue;
use serde_json::{Map, Value, json};
use std::{
    cell::RefCell, collections::HashMap, fmt, hash::BuildHasherDefault, rc::Rc, sync::Arc, time::Duration,
};

/// Port: our own key for identities, which signs nothing else (RULES 1.4).
pub trait IdentitySigner: fmt::Debug + Send + Sync {
    /// As a JWT; `None`: there is no key right now.
    fn sign(&self, claims: &Map<String, Value>) -> Option<String>;
    /// Moves whenever what was signed before should not be handed out any more: another key, or one that was revoked.
    fn revision(&self) -> u64;
}

/// Who says it, and by which key.
#[derive(Debug, Clone)]
pub struct Identity {
    pub issuer: Arc<str>,
    pub signer: Arc<dyn IdentitySigner>,
}

/// How long an upstream may believe one.
const LIFETIME: i64 = 60;
/// What is left of that, at least, when one is handed out.
const LEFT: Duration = Duration::from_secs(30);
/// Bytes that every server takes in one field.
const MOST_BYTES: usize = 8 * 1024;
/// Of one generation of entries; there are two.
const MOST_ENTRIES: usize = 2048;

/// Everything that the claims are made of, by its place in memory. The scopes follow from it.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    audience: usize,
    authentication: usize,
    standing: usize,
    /// Authentication and standing of each; most requests have none.
    actors: Option<Box<[usize]>>,
}

/// Small, so that looking for one among thousands reads few lines of memory.
#[derive(Debug)]
struct Minted {
    token: Rc<Token>,
    at: Timestamp,
    until: Timestamp,
    /// Of the feed and of the signer.
    revisions: (i64, u64),
}

/// INVARIANT (made in [`Mint::mint`]): what the key of an entry points to is held here, so that no other thing can come to be
/// there.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) value: HeaderValue,
    _audience: Arc<str>,
    _known: Vec<(Arc<Authentication>, Arc<Standing>)>,
}

/// Places in memory are numbers that nobody outside chooses.
type Entries = HashMap<Key, Minted, BuildHasherDefault<WordHasher>>;

/// One worker's, of one generation. As in the cache of credentials there are young entries and old ones: when there are too
/// many young ones, the old ones go.
pub(crate) struct Mint {
    identity: Identity,
    entries: RefCell<(Entries, Entries)>,
}

impl fmt::Debug for Mint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mint").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Mint {
    pub(crate) fn new(identity: Identity) -> Self {
        Self { identity, entries: RefCell::default() }
    }

    /// `None` on a public route: there is nobody to name. What was minted before costs a look and no allocation.
    pub(crate) fn token(
        &self,
        permit: &Permit,
        upstream: &UpstreamConfig,
        worker: &Worker,
    ) -> Result<Option<Rc<Token>>, Failure> {
        let Some(subject) = permit.subject() else { return Ok(None) };
        let point = &worker.ports.point;
        let now = point.clock().now();
        let revisions = (point.revision(), self.identity.signer.revision());
        let audience = upstream.audience.as_ref().unwrap_or(&upstream.name);
        let key = key(audience, subject, permit.actors());
        {
            let (young, old) = &*self.entries.borrow();
            let minted = young.get(&key).or_else(|| old.get(&key));
            let good = |m: &&Minted| m.revisions == revisions && m.at <= now && now < m.until;
            if let Some(minted) = minted.filter(good) {
                return Ok(Some(minted.token.clone()));
            }
        }
        let end = end(permit, now);
        let claims = self.claims(subject, permit.actors(), audience, (now, end), worker);
        let minted = self.mint(&claims, permit, audience, (now, end), revisions)?;
        let token = minted.token.clone();
        let (young, old) = &mut *self.entries.borrow_mut();
        if young.len() >= MOST_ENTRIES && !young.contains_key(&key) {
            *old = std::mem::take(young);
        }
        young.insert(key, minted);
        Ok(Some(token))
    }

    fn mint(
        &self,
        claims: &Map<String, Value>,
        permit: &Permit,
        audience: &Arc<str>,
        (now, end): (Timestamp, Timestamp),
        revisions: (i64, u64),
    ) -> Result<Minted, Failure> {
        let token = self.identity.signer.sign(claims).ok_or(Failure::NoIdentityKey)?;
        let unrepresentable = || Failure::Identity(Unrepresentable(COUNTERSIGN_IDENTITY.as_str()));
        // RFC 7515 7.1: base64url and dots, which every server reads alike
        if token.is_empty() || token.len() > MOST_BYTES || !token.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(unrepresentable());
        }
        let mut token = HeaderValue::try_from(token).map_err(|_| unrepresentable())?;
        // RFC 7541 7.1.3: not to be remembered by whoever compresses it
        token.set_sensitive(true);
        let known = permit.subject().into_iter().chain(permit.actors());
        Ok(Minted {
            token: Rc::new(Token {
                value: token,
                _audience: audience.clone(),
                _known: known.map(|known| (known.authentication.clone(), known.standing.clone())).collect(),
            }),
            at: now,
            // of what ends sooner than that, one is enough
            until: Timestamp::from_seconds(now.as_seconds() + LIFETIME).saturating_sub(LEFT).min(end),
            revisions,
        })
    }

    fn claims(
        &self,
        subject: &Known,
        actors: &[Known],
        audience: &str,
        (now, end): (Timestamp, Timestamp),
        worker: &Worker,
    ) -> Map<String, Value> {
        let mut claims = who(subject);
        claims.insert("iss".into(), json!(*self.identity.issuer));
        claims.insert("aud".into(), json!(audience));
        claims.insert("iat".into(), json!(now.as_seconds()));
        claims.insert("exp".into(), json!(end.as_seconds()));
        // 128 random bits, as any id of ours
        claims.insert("jti".into(), json!(worker.request_id().to_string()));
        claims.insert("kind".into(), json!(subject.standing.kind.as_str()));
        claims.insert("auth_time".into(), json!(subject.authentication.authenticated_at.as_seconds()));
        let groups: Vec<&str> = subject.standing.groups.iter().map(|group| group.as_str()).collect();
        if !groups.is_empty() {
            claims.insert("groups".into(), json!(groups));
        }
        if !actors.is_empty() {
            claims.insert("actors".into(), actors.iter().map(who).map(Value::Object).collect());
        }
        claims
    }
}

/// RULES 2.6: no later than what showed who calls, to the second in which that ends.
fn end(permit: &Permit, now: Timestamp) -> Timestamp {
    let known = permit.subject().into_iter().chain(permit.actors());
    let ends = known.filter_map(|known| known.authentication.expires_at).min();
    let usual = now.as_seconds() + LIFETIME;
    let end = ends.map_or(usual, |end| usual.min(end.as_seconds()).max(now.as_seconds() + 1));
    Timestamp::from_seconds(end)
}

/// What is said of the subject and of each actor alike.
fn who(known: &Known) -> Map<String, Value> {
    let Known { authentication, standing, scopes } = known;
    let said = [
        ("sub", standing.principal.to_string()),
        ("name", standing.name.to_string()),
        ("method", authentication.method.as_str().to_owned()),
        ("credential", authentication.credential.to_string()),
        ("scope", scopes.to_string()),
    ];
    said.into_iter().map(|(name, text)| (name.to_owned(), Value::String(text))).collect()
}

fn key(audience: &Arc<str>, subject: &Known, actors: &[Known]) -> Key {
    let places =
        |known: &Known| [Arc::as_ptr(&known.authentication).addr(), Arc::as_ptr(&known.standing).addr()];
    let [authentication, standing] = places(subject);
    let actors = (!actors.is_empty()).then(|| actors.iter().flat_map(places).collect());
    Key { audience: Arc::as_ptr(audience).addr(), authentication, standing, actors }
}
