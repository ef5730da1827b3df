//! The life of a session, over ports: begin, refresh, end. Says nothing of passwords, of what is signed, or of cookies' fields:
//! whoever proved who they are comes here with what it must die with.

use super::{
    config::SessionConfig,
    record::{EndReason, RefreshFamily, SessionKind, SessionRecord, SessionState, TokenDigest, session_node},
    store::{KeyEnd, Room, Rotated, Rotation, SessionEnded, SessionQuery, SessionStore},
    token::{NewToken, SessionTokens, ShownToken, TokenKind},
    uses::Uses,
};
use crate::principal::caller::Caller;
use countersign_core::{
    CredentialId, Lineage, Node, PrincipalId, Scope, ScopeSet, StoreError, Timestamp, audit::Actor,
    check::revocation::RevocationFeed, directory::Directory, page::Page,
};
use countersign_crypto::{
    Entropy, SecretString, constant_time,
    key::{open_under, seal_under},
    random_id,
    token::format::ID_LENGTH,
};
use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// How often a refresh looks again because another one was faster.
const ATTEMPTS: usize = 3;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// No session stands behind it: made up, ended, over, or its person may no longer come.
    #[error("the session is over")]
    Over,
    #[error("no such session")]
    Unknown,
    #[error("the principal does not have: {0}")]
    ScopesBeyondOwner(ScopeSet),
    #[error("the library could not seal a token")]
    Seal,
    /// RULES 2.5: what we do not hear of may be over.
    #[error("the store was not heard of for too long")]
    Blind,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Who proved to be whom, and what their session dies with.
#[derive(Debug, Clone)]
pub struct SignedIn {
    pub principal: PrincipalId,
    /// What they may do now.
    pub scopes: ScopeSet,
    /// A password's version, the key that is exchanged: what it hangs on beside the principal.
    pub parents: Vec<Node>,
    pub amr: &'static str,
    /// RULES 2.6: what is exchanged ends then.
    pub ends_at: Option<Timestamp>,
    pub at: Timestamp,
}

/// What was asked for.
#[derive(Debug, Clone)]
pub struct Begin {
    pub kind: SessionKind,
    pub host: String,
    /// `None`: all that they have.
    pub scopes: Option<ScopeSet>,
    pub agent: String,
}

#[derive(Debug)]
pub struct Begun {
    pub record: SessionRecord,
    pub cookie: Option<SecretString>,
    pub refresh: Option<SecretString>,
}

#[derive(Debug)]
pub struct Refreshed {
    pub record: SessionRecord,
    pub refresh: SecretString,
}

/// Where a refresh token was shown. Each kind of session has one place for it.
#[derive(Debug, Clone, Copy)]
pub enum RefreshPlace<'s> {
    Body,
    /// Of the host that was asked.
    Cookie {
        host: &'s str,
    },
}

impl RefreshPlace<'_> {
    fn is_of(self, record: &SessionRecord) -> bool {
        match self {
            RefreshPlace::Body => record.kind == SessionKind::Native,
            RefreshPlace::Cookie { host } => {
                record.kind == SessionKind::JwtCookie && without_port(host) == without_port(&record.host)
            }
        }
    }
}

/// RFC 6265bis 8.5: cookies know hosts and no ports.
fn without_port(authority: &str) -> &str {
    let port = authority.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    port.map_or(authority, |(host, _)| host)
}

/// What the hall is made of.
#[derive(Debug, Clone)]
pub struct Parts {
    pub store: Arc<dyn SessionStore>,
    pub feed: Arc<dyn RevocationFeed>,
    pub directory: Arc<dyn Directory>,
    pub tokens: SessionTokens,
    pub config: SessionConfig,
    pub entropy: Arc<dyn Entropy>,
}

/// What became of sessions since this process began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionCounts {
    pub begun: u64,
    pub refreshed: u64,
    /// The same successor given again, within the grace.
    pub repeated: u64,
    /// Ended because a refresh token came a second time.
    pub reused: u64,
}

#[derive(Debug, Default)]
struct Counters {
    begun: AtomicU64,
    refreshed: AtomicU64,
    repeated: AtomicU64,
    reused: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[derive(Debug)]
pub struct SessionIssuer {
    parts: Parts,
    counters: Counters,
}

impl SessionIssuer {
    pub fn new(parts: Parts) -> Self {
        Self { parts, counters: Counters::default() }
    }

    pub fn counts(&self) -> SessionCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { begun, refreshed, repeated, reused } = &self.counters;
        SessionCounts {
            begun: read(begun),
            refreshed: read(refreshed),
            repeated: read(repeated),
            reused: read(reused),
        }
    }

    /// What kind of opaque token it is by its beginning, and whose session's where it bears our mark. Asks nobody, and uses
    /// nothing up.
    pub fn recognise(&self, shown: &[u8]) -> Option<(TokenKind, Option<CredentialId>)> {
        let kind = TokenKind::ALL.into_iter().find(|kind| self.parts.tokens.is_prefix_of(*kind, shown))?;
        Some((kind, self.parts.tokens.read(kind, shown).map(|token| token.id)))
    }

    pub fn config(&self) -> &SessionConfig {
        &self.parts.config
    }

    /// `caller`: on whose word, for the trail; its actor becomes the person who signed in.
    pub async fn begin(
        &self,
        who: SignedIn,
        asked: Begin,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Begun, SessionError> {
        let SignedIn { principal, scopes: may, mut parents, amr, ends_at, at } = who;
        let scopes = granted(&may, asked.scopes)?;
        let generation = self.parts.store.generation(&principal).await?.ok_or(SessionError::Over)?;
        parents.push(Node::generation(&principal, generation));
        let id = CredentialId::new(&random_id(&*self.parts.entropy, ID_LENGTH));
        let config = &self.parts.config;
        let new = |kind| self.parts.tokens.generate(kind, &id, &*self.parts.entropy);
        let cookie = (asked.kind == SessionKind::Cookie).then(|| new(TokenKind::Cookie));
        let refresh = (asked.kind != SessionKind::Cookie).then(|| new(TokenKind::Refresh));
        let expires_at = now + config.absolute;
        let family = |new: &NewToken| RefreshFamily {
            current: new.digest,
            previous: None,
            generation: 0,
            rotated_at: now,
        };
        let record = SessionRecord {
            id: id.clone(),
            kind: asked.kind,
            host: asked.host,
            scopes,
            audiences: config.audiences.clone(),
            parents,
            amr: amr.to_owned(),
            authenticated_at: at,
            created_at: now,
            last_used_at: now,
            idle: config.idle,
            expires_at: ends_at.map_or(expires_at, |end| end.min(expires_at)),
            agent: printable(&asked.agent),
            address: caller.source,
            cookie: cookie.as_ref().map(|new| new.digest),
            refresh: refresh.as_ref().map(family),
            state: SessionState::Open,
            principal,
        };
        let caller = by_holder(&record, caller);
        let detail = vec![
            ("kind", record.kind.as_str().to_owned()),
            ("host", record.host.clone()),
            ("amr", record.amr.clone()),
        ];
        let event = caller.event(now, "session.create", id.as_str(), detail);
        let room = Room { most: config.per_credential, until: now + SessionConfig::REMEMBERED };
        match self.parts.store.create(record.clone(), generation, room, event).await {
            Ok(()) => {}
            // disabled, or called back, while they signed in
            Err(StoreError::Conflict(_)) => return Err(SessionError::Over),
            Err(error) => return Err(error.into()),
        }
        count(&self.counters.begun);
        let token = |new: NewToken| new.token;
        Ok(Begun { record, cookie: cookie.map(token), refresh: refresh.map(token) })
    }

    /// Is it an opaque cookie of ours by its beginning?
    pub fn is_cookie(&self, value: &[u8]) -> bool {
        self.parts.tokens.is_prefix_of(TokenKind::Cookie, value)
    }

    /// The session behind a cookie, whatever may have become of what it hangs on: that is the judgement's to ask.
    pub async fn of_cookie(&self, shown: &[u8], now: Timestamp) -> Result<Option<SessionRecord>, StoreError> {
        let Some(shown) = self.parts.tokens.read(TokenKind::Cookie, shown) else { return Ok(None) };
        let found = self.parts.store.find(&shown.id).await?;
        let fits = |record: &SessionRecord| {
            record.cookie.is_some_and(|own| same(&own, &shown.digest)) && record.is_open(now)
        };
        Ok(found.filter(fits))
    }

    /// Is this session open, and does everything stand that it and what was `shown` of it hang on? For a page that says so; a
    /// request is judged, every time.
    pub async fn stands(
        &self,
        id: &CredentialId,
        shown: &Lineage,
        now: Timestamp,
    ) -> Result<bool, SessionError> {
        if self.parts.feed.is_blind(now) {
            return Err(SessionError::Blind);
        }
        let is_called_back = shown.iter().any(|node| self.parts.feed.is_revoked(node));
        Ok(!is_called_back && self.whole(id, Duration::ZERO, now).await?.is_some())
    }

    /// When what was begun with it does if nothing more happens, while it is open and everything stands that it hangs on. Its
    /// last use may be noted and not yet written: what is cut comes back for nobody.
    pub async fn ends(&self, id: &CredentialId, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        self.whole(id, Uses::UNWRITTEN, now).await
    }

    async fn whole(
        &self,
        id: &CredentialId,
        unwritten: Duration,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let Some(mut record) = self.parts.store.find(id).await? else { return Ok(None) };
        record.idle += unwritten;
        if !record.is_open(now) {
            return Ok(None);
        }
        match self.hangs_on_what_stands(&mut record, now).await {
            Ok(()) => Ok(Some(record.ends_at())),
            Err(SessionError::Store(error)) => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// The next refresh token in the place of this one. The one before the present one gets that same one again for a short
    /// while (RULES 4.2); any older one, or that one later, is in somebody else's hands too, and the session ends.
    pub async fn refresh(
        &self,
        token: &[u8],
        place: RefreshPlace<'_>,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Refreshed, SessionError> {
        let shown = self.shown(token, now)?;
        for _ in 0..ATTEMPTS {
            let (record, family) = self.chain(&shown, place, now).await?;
            if same(&family.current, &shown.digest) {
                match self.rotate((token, shown.digest), record, &family, caller, now).await? {
                    Some(refreshed) => return Ok(refreshed),
                    // somebody was faster: look at what they left
                    None => continue,
                }
            }
            if let Some(sealed) = self.in_grace(&family, &shown.digest, now) {
                let successor = open_successor(token, &shown.id, family.generation, sealed)?;
                count(&self.counters.repeated);
                // two tabs, a lost answer, or somebody who has a copy and is quick
                tracing::info!(session = %record.id, source = ?caller.source, "a refresh token was shown again within the grace");
                return Ok(Refreshed { record, refresh: successor });
            }
            self.reused(&record, caller, now).await?;
            return Err(SessionError::Over);
        }
        Err(SessionError::Store(StoreError::Unavailable(
            "a session changed faster than it could be read".into(),
        )))
    }

    /// For a new access token without a step of the chain: where an answer may be lost, or be no answer to whoever has the token,
    /// a step would make a copy of what they still hold. What is reuse there is reuse here.
    pub async fn renew(
        &self,
        token: &[u8],
        place: RefreshPlace<'_>,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<SessionRecord, SessionError> {
        let shown = self.shown(token, now)?;
        let (record, family) = self.chain(&shown, place, now).await?;
        if same(&family.current, &shown.digest) || self.in_grace(&family, &shown.digest, now).is_some() {
            return Ok(record);
        }
        self.reused(&record, caller, now).await?;
        Err(SessionError::Over)
    }

    /// A refresh token of ours, while what was called back is heard of.
    fn shown(&self, token: &[u8], now: Timestamp) -> Result<ShownToken, SessionError> {
        let shown = self.parts.tokens.read(TokenKind::Refresh, token).ok_or(SessionError::Over)?;
        if self.parts.feed.is_blind(now) { Err(SessionError::Blind) } else { Ok(shown) }
    }

    /// The chain that it is of, where its session is open and everything stands.
    async fn chain(
        &self,
        shown: &ShownToken,
        place: RefreshPlace<'_>,
        now: Timestamp,
    ) -> Result<(SessionRecord, RefreshFamily), SessionError> {
        let found = self.parts.store.find(&shown.id).await?;
        let fits = |record: &SessionRecord| record.is_open(now) && place.is_of(record);
        let mut record = found.filter(fits).ok_or(SessionError::Over)?;
        let family = record.refresh.clone().ok_or(SessionError::Over)?;
        self.hangs_on_what_stands(&mut record, now).await?;
        Ok((record, family))
    }

    /// RULES 4.2: is it the one before the present one, and early enough? Then that one, sealed.
    fn in_grace<'f>(
        &self,
        family: &'f RefreshFamily,
        shown: &TokenDigest,
        now: Timestamp,
    ) -> Option<&'f [u8]> {
        let (previous, sealed) = family.previous.as_ref()?;
        let is_in = same(previous, shown) && now.since(family.rotated_at) < self.parts.config.grace;
        is_in.then_some(sealed)
    }

    /// `None`: somebody was faster.
    async fn rotate(
        &self,
        (token, from): (&[u8], TokenDigest),
        mut record: SessionRecord,
        family: &RefreshFamily,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Option<Refreshed>, SessionError> {
        let next = self.parts.tokens.generate(TokenKind::Refresh, &record.id, &*self.parts.entropy);
        let generation = family.generation + 1;
        let context = [SUCCESSOR, record.id.as_str().as_bytes(), &generation.to_be_bytes()];
        let plain = next.token.expose().as_bytes();
        let sealed =
            seal_under(token, &context, plain, &*self.parts.entropy).map_err(|_| SessionError::Seal)?;
        let rotation =
            Rotation { id: record.id.clone(), from, to: next.digest, sealed: sealed.clone(), at: now };
        let event = by_holder(&record, caller).event(
            now,
            "session.refresh",
            record.id.as_str(),
            vec![("generation", generation.to_string())],
        );
        match self.parts.store.rotate(rotation, event).await? {
            Rotated::Lost => Ok(None),
            Rotated::Done => {
                let previous = Some((from, sealed));
                record.refresh =
                    Some(RefreshFamily { current: next.digest, previous, generation, rotated_at: now });
                record.last_used_at = now;
                count(&self.counters.refreshed);
                Ok(Some(Refreshed { record, refresh: next.token }))
            }
        }
    }

    /// RULES 2.5, 2.6: nothing that it hangs on was called back, its principal is active, and it ends no later than a key that
    /// was exchanged for it: a rotation moves that end forward.
    async fn hangs_on_what_stands(
        &self,
        record: &mut SessionRecord,
        now: Timestamp,
    ) -> Result<(), SessionError> {
        let own = [record.node(), Node::principal(&record.principal)];
        if own.iter().chain(&record.parents).any(|node| self.parts.feed.is_revoked(node)) {
            return Err(SessionError::Over);
        }
        let standing = match self.parts.directory.standing(&record.principal) {
            Some(standing) => Some(standing),
            None => self.parts.directory.load(&record.principal).await?,
        };
        if !standing.is_some_and(|standing| standing.active) {
            return Err(SessionError::Over);
        }
        let Some(key) = record.key() else { return Ok(()) };
        match self.parts.store.key_end(key).await? {
            KeyEnd::Never => Ok(()),
            KeyEnd::At(end) if now < end => {
                record.expires_at = record.expires_at.min(end);
                Ok(())
            }
            KeyEnd::At(_) | KeyEnd::Over => Err(SessionError::Over),
        }
    }

    async fn reused(
        &self,
        record: &SessionRecord,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<(), SessionError> {
        let caller = Caller { actor: Actor::System, ..caller.clone() };
        let detail = vec![("principal", record.principal.to_string())];
        let event = caller.event(now, "session.reuse", record.id.as_str(), detail);
        let until = now + SessionConfig::REMEMBERED;
        self.parts.store.end(&record.id, EndReason::Reuse, now, until, event).await?;
        count(&self.counters.reused);
        tracing::warn!(session = %record.id, principal = %record.principal, "a refresh token was used a second time: somebody has a copy, and the session has ended");
        Ok(())
    }

    /// By whoever holds its refresh token or cookie. One that is over already is no error: they wanted it gone.
    pub async fn sign_out(
        &self,
        kind: TokenKind,
        token: &[u8],
        caller: &Caller,
        now: Timestamp,
    ) -> Result<(), SessionError> {
        let Some(shown) = self.parts.tokens.read(kind, token) else { return Ok(()) };
        let Some(record) = self.parts.store.find(&shown.id).await? else { return Ok(()) };
        let held = match kind {
            TokenKind::Cookie => record.cookie.is_some_and(|own| same(&own, &shown.digest)),
            // any of its chain: whoever signs out with an old one has been robbed or was slow, and wants it gone in either case
            TokenKind::Refresh => record.refresh.is_some(),
        };
        if !held {
            return Ok(());
        }
        let by = by_holder(&record, caller);
        self.end(&record.id, EndReason::SignedOut, &by, now).await.map(|_| ())
    }

    pub async fn end(
        &self,
        id: &CredentialId,
        reason: EndReason,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<SessionEnded, SessionError> {
        let event =
            caller.event(now, "session.end", id.as_str(), vec![("reason", reason.as_str().to_owned())]);
        let until = now + SessionConfig::REMEMBERED;
        Ok(self.parts.store.end(id, reason, now, until, event).await?)
    }

    /// Every other session of the person.
    pub async fn end_others(
        &self,
        principal: &PrincipalId,
        except: &CredentialId,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<u64, SessionError> {
        let detail = vec![("except", except.to_string())];
        let event = caller.event(now, "session.end_others", principal.as_str(), detail);
        let until = now + SessionConfig::REMEMBERED;
        Ok(self.parts.store.end_others(principal, except, now, until, event).await?)
    }

    /// RULES 2.5, "everything before now": how many sessions ended.
    pub async fn end_everything(
        &self,
        principal: &PrincipalId,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<u64, SessionError> {
        let event = caller.event(now, "token.revoke_all", principal.as_str(), Vec::new());
        let until = now + SessionConfig::REMEMBERED;
        let ended = self.parts.store.end_generation(principal, now, until, event).await?;
        ended.map(|(_, sessions)| sessions).ok_or(SessionError::Unknown)
    }

    pub async fn list(&self, query: SessionQuery) -> Result<Page<SessionRecord>, StoreError> {
        self.parts.store.list(query).await
    }

    pub async fn find(&self, id: &CredentialId) -> Result<Option<SessionRecord>, StoreError> {
        self.parts.store.find(id).await
    }

    /// Is everything that it hangs on still there, as far as this process knows? For lists: a changed password ends a session
    /// without touching its record.
    pub fn is_called_back(&self, record: &SessionRecord) -> bool {
        record.parents.iter().any(|node| self.parts.feed.is_revoked(node))
            || self.parts.feed.is_revoked(&session_node(&record.id))
    }
}

fn by_holder(record: &SessionRecord, caller: &Caller) -> Caller {
    caller.clone().signed_in(&record.principal, &record.id)
}

/// RULES 1.8: a session carries no operator's scope, whoever's it is.
fn granted(may: &ScopeSet, asked: Option<ScopeSet>) -> Result<ScopeSet, SessionError> {
    let usual = ScopeSet::new(may.iter().filter(|scope| !scope.is_operators()).cloned());
    let Some(asked) = asked else { return Ok(usual) };
    let beyond: Vec<Scope> = asked.iter().filter(|scope| !usual.contains(scope)).cloned().collect();
    if beyond.is_empty() { Ok(asked) } else { Err(SessionError::ScopesBeyondOwner(ScopeSet::new(beyond))) }
}

fn same(a: &TokenDigest, b: &TokenDigest) -> bool {
    constant_time::equal(&a.0, &b.0)
}

/// What is sealed under the token before it: a refresh token, of this session, at this place in its chain.
const SUCCESSOR: &[u8] = b"refresh token";

fn open_successor(
    token: &[u8],
    id: &CredentialId,
    generation: i64,
    sealed: &[u8],
) -> Result<SecretString, SessionError> {
    let context = [SUCCESSOR, id.as_str().as_bytes(), &generation.to_be_bytes()];
    let opened = open_under(token, &context, sealed).map_err(|_| SessionError::Seal)?;
    let text = String::from_utf8(opened.expose().to_vec()).map_err(|_| SessionError::Seal)?;
    Ok(SecretString::new(text))
}

/// What a client says of itself stands in lists that people read.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(160).collect()
}

/// Where a sign-in came from, for the trail; who it was the hall finds out.
pub fn from_network(source: IpAddr, request: countersign_core::RequestId) -> Caller {
    Caller { actor: Actor::Holder, source: Some(source), request: Some(request), bound: None, mark: None }
}
