//! The first operator, and the one that the host can always make again (RULES 4.4).
//!
//! The key goes into its 0600 file and nowhere else, and ends after 24 hours or with the first other operator who can
//! let others in. Everything is audited as the host's doing.

use crate::{compose::Rooms, output::Failure, private_file};
use countersign_core::{
    Node, NodeKind, PrincipalId, Timestamp,
    page::PageRequest,
    principal::{Principal, PrincipalKind, PrincipalName},
};
use countersign_methods::{
    api_key::{
        issue::{KeyVerdict, Lifetime, NewKey},
        record::{KeyId, RevocationReason},
        store::{ApiKeyQuery, ApiKeyStore},
    },
    operator,
    principal::{
        caller::Caller,
        issue::{NewPrincipal, PrincipalError},
        store::{PrincipalChange, PrincipalStore},
    },
    revocation::store::{Change, each_revoked},
};
use std::{collections::HashSet, fmt::Display, path::Path, time::Duration};

/// The principal that the host makes for itself.
const NAME: &str = "bootstrap";
/// The label of the keys that the host makes for it.
const LABEL: &str = "made on the host";
/// After so many of them were revoked somebody should look into it.
const MOST: u32 = 1000;
/// The row that names its key while that key counts as the first one; empty: it does not (any more).
const FIRST: &str = "first_operator_key";
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// For a store that has no operator yet: make one. `false`: it has one.
pub async fn ensure(rooms: &Rooms, file: &Path, now: Timestamp) -> Result<bool, Failure> {
    let operators = PrincipalStore::operators(&*rooms.store).await.map_err(failed)?;
    if operators.iter().any(|p| operator::can_administer(&p.scopes)) {
        return Ok(false);
    }
    let id = issue(rooms, file, now).await?;
    rooms.store.set_meta(FIRST, id.as_str()).await.map_err(failed)?;
    Ok(true)
}

/// Another key for the host's own operator; the one it had before ends.
pub async fn recover(rooms: &Rooms, file: &Path, now: Timestamp) -> Result<KeyId, Failure> {
    let before = first(rooms).await?;
    let host = principal(rooms, now).await?;
    let id = issue(rooms, file, now).await?;
    // Where another operator's key is still good, and lost, this one would end with it at once: then it has its 24 hours.
    let counts = !somebody_else(rooms, &host.id, now).await?;
    rooms.store.set_meta(FIRST, if counts { id.as_str() } else { "" }).await.map_err(failed)?;
    // last, so that what fails on the way locks nobody out
    if let Some(before) = before {
        revoke(rooms, &before, now).await?;
    }
    Ok(id)
}

/// For a development folder: a key that stays good as long as the folder is used; renewed when half of it is over.
pub async fn renew(rooms: &Rooms, file: &Path, now: Timestamp) -> Result<(), Failure> {
    if let Some(text) = private_file::read(file)? {
        let verified = rooms.api_keys.verify_presented(text.trim().as_bytes(), now).await.map_err(failed)?;
        if let KeyVerdict::Good(record) = verified {
            let soon = now + LIFETIME / 2;
            let owner = PrincipalStore::find(&*rooms.store, &record.owner).await.map_err(failed)?;
            let active = owner.is_some_and(|p| p.enabled && operator::can_administer(&p.scopes));
            if active && record.expires_at.is_none_or(|end| end > soon) {
                return Ok(());
            }
        }
    }
    issue(rooms, file, now).await.map(|_| ())
}

/// The first key ends when somebody else can let others in. Cheap where it already has: one row is read.
pub async fn retire(rooms: &Rooms, file: &Path, now: Timestamp) -> Result<bool, Failure> {
    let Some(first) = first(rooms).await? else { return Ok(false) };
    let Some(record) = ApiKeyStore::find(&*rooms.store, &first).await.map_err(failed)? else {
        return Ok(false);
    };
    if !somebody_else(rooms, &record.owner, now).await? {
        return Ok(false);
    }
    // every one that the host made: two servers that began on one store at once made one each
    let query = ApiKeyQuery {
        owner: Some(record.owner.clone()),
        usable_at: Some(now),
        page: PageRequest { after: None, limit: PageRequest::MAX_LIMIT },
        ..ApiKeyQuery::default()
    };
    let keys = ApiKeyStore::list(&*rooms.store, query).await.map_err(failed)?;
    for key in keys.items.iter().filter(|key| key.label == LABEL && key.id != first) {
        revoke(rooms, &key.id, now).await?;
    }
    revoke(rooms, &first, now).await?;
    rooms.store.set_meta(FIRST, "").await.map_err(failed)?;
    // a dead key left lying about only misleads whoever finds it
    if private_file::read(file)?.is_some_and(|text| text.contains(first.as_str())) {
        let _ = std::fs::remove_file(file);
    }
    Ok(true)
}

/// Does anybody but `host` hold a usable key with which to let others in?
async fn somebody_else(rooms: &Rooms, host: &PrincipalId, now: Timestamp) -> Result<bool, Failure> {
    for other in PrincipalStore::operators(&*rooms.store).await.map_err(failed)? {
        if other.id == *host || !operator::can_administer(&other.scopes) {
            continue;
        }
        let query = ApiKeyQuery {
            owner: Some(other.id.clone()),
            usable_at: Some(now),
            page: PageRequest { after: None, limit: PageRequest::MAX_LIMIT },
            ..ApiKeyQuery::default()
        };
        let keys = ApiKeyStore::list(&*rooms.store, query).await.map_err(failed)?;
        if keys.items.iter().any(|key| operator::can_administer(&key.scopes.intersection(&other.scopes))) {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn first(rooms: &Rooms) -> Result<Option<KeyId>, Failure> {
    let named = rooms.store.meta(FIRST).await.map_err(failed)?;
    Ok(named.and_then(|id| KeyId::parse(&id)))
}

async fn revoke(rooms: &Rooms, id: &KeyId, now: Timestamp) -> Result<(), Failure> {
    let ended = rooms.api_keys.revoke(id, None, RevocationReason::Operator, &Caller::host(), now).await;
    match ended {
        Ok(_) | Err(countersign_methods::api_key::issue::IssueError::KeyUnknown) => Ok(()),
        Err(e) => Err(failed(e)),
    }
}

async fn issue(rooms: &Rooms, file: &Path, now: Timestamp) -> Result<KeyId, Failure> {
    let owner = principal(rooms, now).await?;
    let new = NewKey {
        owner: owner.id,
        label: LABEL.into(),
        scopes: operator::all(),
        lifetime: Lifetime::For(LIFETIME.min(rooms.config.max_lifetime)),
        networks: Vec::new(),
        limit: None,
        plan: None,
    };
    let issued = rooms.api_keys.create(new, &Caller::host(), now).await.map_err(failed)?;
    let (record, secret) = issued.reveal();
    private_file::write(file, format!("{}\n", secret.expose()).as_bytes())?;
    Ok(record.id)
}

/// The host's own operator, enabled and with every operator's scope. One that was revoked never gets in again
/// (RULES 2.5), so another one takes its place under the next name: the host must never be locked out.
async fn principal(rooms: &Rooms, now: Timestamp) -> Result<Principal, Failure> {
    let mut revoked = HashSet::new();
    let principals = |page: &[Change]| {
        let nodes = page.iter().map(|change| &change.node);
        revoked.extend(nodes.filter(|node| node.kind == NodeKind::Principal).cloned());
    };
    each_revoked(&*rooms.store, now, principals).await.map_err(failed)?;
    for n in 1..=MOST {
        let name = if n == 1 { NAME.to_owned() } else { format!("{NAME}-{n}") };
        let name = PrincipalName::parse(&name).ok_or_else(|| Failure::failed("the operator has no name"))?;
        let known = PrincipalStore::find_by_name(&*rooms.store, &name).await.map_err(failed)?;
        if known.is_none_or(|p| !revoked.contains(&Node::principal(&p.id))) {
            return named(rooms, name, now).await;
        }
    }
    Err(Failure::failed(format!("all operators from `{NAME}` to `{NAME}-{MOST}` were revoked")))
}

async fn named(rooms: &Rooms, name: PrincipalName, now: Timestamp) -> Result<Principal, Failure> {
    let Some(found) = PrincipalStore::find_by_name(&*rooms.store, &name).await.map_err(failed)? else {
        let new = NewPrincipal {
            kind: PrincipalKind::Service,
            name: name.clone(),
            scopes: operator::all(),
            groups: Vec::new(),
        };
        match rooms.principals.create(new, &Caller::host(), now).await {
            // another process began at the same time: it is the same operator
            Err(PrincipalError::NameTaken) => {}
            made => return made.map_err(failed),
        }
        let found = PrincipalStore::find_by_name(&*rooms.store, &name).await.map_err(failed)?;
        return found.ok_or_else(|| Failure::failed("the operator came and went; start again"));
    };
    if found.enabled && operator::all().is_subset(&found.scopes) {
        return Ok(found);
    }
    let scopes = found.scopes.iter().chain(operator::all().iter()).cloned().collect::<Vec<_>>();
    let change = PrincipalChange {
        scopes: Some(countersign_core::ScopeSet::new(scopes)),
        groups: None,
        enabled: Some(true),
    };
    rooms
        .principals
        .change(&found.id, Some(found.version), change, &Caller::host(), now)
        .await
        .map_err(failed)
}

fn failed(error: impl Display) -> Failure {
    Failure::failed(format!("cannot make an operator: {error}"))
}
