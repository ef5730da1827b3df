//! The rows of API keys.

use super::{
    Store,
    dialect::{Conn, Failed, row, sql},
    revocation::{NewChange, parse_nodes, write_nodes},
    session,
    unit::Purpose,
};
use countersign_core::{
    BoxFuture, PrincipalId, ScopeSet, StoreError, Timestamp,
    audit::AuditEvent,
    check::limit::{PlanName, RateLimit},
    page::{Page, PageRequest},
};
use countersign_methods::{
    api_key::{
        record::{
            ApiKeyRecord, Covers, Environment, KeyDigest, KeyId, KeyStanding, KeyState, Lookup, Origin,
            RevocationReason,
        },
        store::{ApiKeyQuery, ApiKeyStore, KeySort, Revoked, Rotation, Upgrade},
    },
    revocation::store::ChangeKind,
};
use std::time::Duration;

row! { KeyRow {
    id: String, environment: String, prefix: String, owner: String, label: String, pepper: i64, digest: Vec<u8>,
    scopes: String, networks: String, limit_quota: Option<i64>, limit_window: Option<i64>, plan: Option<String>,
    parents: String, created_at: i64, expires_at: Option<i64>, last_used_at: Option<i64>, state: String,
    ended_at: Option<i64>, successor: Option<String>, reason: Option<String>, version: i64, origin: String,
    lookup: Option<Vec<u8>>,
} }

macro_rules! columns { () => {
    "id, environment, prefix, owner, label, pepper, digest, scopes, networks, limit_quota, limit_window, plan, parents, created_at, expires_at, last_used_at, state, ended_at, successor, reason, version, origin, lookup"
} }
macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT ", columns!(), " FROM api_key ", $rest)
    };
}

const ACTIVE: &str = "active";
const ROTATED: &str = "rotated";
const REVOKED: &str = "revoked";

const ISSUED: &str = "issued";
const IMPORTED: &str = "imported";
const IMPORTED_SHA256: &str = "imported_sha256";

impl KeyRow {
    fn into_record(self) -> Result<ApiKeyRecord, Failed> {
        let unreadable = |what| Failed::Unreadable(format!("{what} of api key `{}`", self.id));
        let networks = self.networks.split(' ').filter(|word| !word.is_empty()).map(str::parse);
        Ok(ApiKeyRecord {
            id: KeyId::parse(&self.id).ok_or_else(|| unreadable("id"))?,
            origin: self.origin().ok_or_else(|| unreadable("origin"))?,
            environment: Environment::parse(&self.environment).ok_or_else(|| unreadable("environment"))?,
            owner: PrincipalId::parse(&self.owner).ok_or_else(|| unreadable("owner"))?,
            digest: KeyDigest {
                pepper: u32::try_from(self.pepper).map_err(|_| unreadable("pepper"))?,
                hash: self.digest.as_slice().try_into().map_err(|_| unreadable("digest"))?,
            },
            scopes: ScopeSet::parse(&self.scopes).ok_or_else(|| unreadable("scopes"))?,
            // a network that cannot be read must not become "anywhere"
            networks: networks.collect::<Result<_, _>>().map_err(|_| unreadable("networks"))?,
            limit: self.limit().ok_or_else(|| unreadable("limit"))?,
            plan: match &self.plan {
                None => None,
                Some(name) => Some(PlanName::parse(name).ok_or_else(|| unreadable("plan"))?),
            },
            parents: parse_nodes(&self.parents).ok_or_else(|| unreadable("parents"))?,
            state: self.state().ok_or_else(|| unreadable("state"))?,
            created_at: Timestamp::from_micros(self.created_at),
            expires_at: self.expires_at.map(Timestamp::from_micros),
            last_used_at: self.last_used_at.map(Timestamp::from_micros),
            version: self.version,
            prefix: self.prefix,
            label: self.label,
        })
    }

    fn origin(&self) -> Option<Origin> {
        let covers = match (self.origin.as_str(), &self.lookup) {
            (ISSUED, None) => return Some(Origin::Issued),
            (IMPORTED, _) => Covers::Value,
            (IMPORTED_SHA256, _) => Covers::Sha256,
            _ => return None,
        };
        let lookup = self.lookup.as_deref()?.try_into().ok()?;
        Some(Origin::Imported { lookup: Lookup(lookup), covers })
    }

    fn limit(&self) -> Option<Option<RateLimit>> {
        let (quota, window) = match (self.limit_quota, self.limit_window) {
            (None, None) => return Some(None),
            (quota, window) => (quota?, window?),
        };
        let (quota, window) = (u32::try_from(quota).ok()?, u64::try_from(window).ok()?);
        Some(Some(RateLimit { quota, window: Duration::from_micros(window) }))
    }

    fn state(&self) -> Option<KeyState> {
        let at = self.ended_at.map(Timestamp::from_micros);
        match self.state.as_str() {
            ACTIVE => Some(KeyState::Active),
            ROTATED => {
                Some(KeyState::Rotated { at: at?, successor: KeyId::parse(self.successor.as_deref()?)? })
            }
            REVOKED => {
                Some(KeyState::Revoked { at: at?, reason: RevocationReason::parse(self.reason.as_deref()?)? })
            }
            _ => None,
        }
    }
}

/// The owner's row holds still until the key is there, so that none is made for one who is being disabled.
async fn insert(conn: &mut Conn<'_>, record: &ApiKeyRecord) -> Result<(), Failed> {
    let (state, ended_at, successor, reason) = match record.state {
        KeyState::Active => (ACTIVE, None, None, None),
        KeyState::Rotated { at, successor } => (ROTATED, Some(at), Some(successor.to_string()), None),
        KeyState::Revoked { at, reason } => (REVOKED, Some(at), None, Some(reason.as_str())),
    };
    let (origin, lookup) = match record.origin {
        Origin::Issued => (ISSUED, None),
        Origin::Imported { lookup, covers: Covers::Value } => (IMPORTED, Some(lookup)),
        Origin::Imported { lookup, covers: Covers::Sha256 } => (IMPORTED_SHA256, Some(lookup)),
    };
    let lookup = lookup.map(|lookup| lookup.0.to_vec());
    let window = |limit: RateLimit| i64::try_from(limit.window.as_micros()).unwrap_or(i64::MAX);
    let networks = record.networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let made = sql(concat!(
        "INSERT INTO api_key (",
        columns!(),
        ") SELECT $1, $2, $3, id, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23
         FROM principal WHERE id = $4 AND enabled /* share */ ON CONFLICT DO NOTHING"
    ))
    .bind(record.id.as_str())
    .bind(record.environment.as_str())
    .bind(record.prefix.as_str())
    .bind(record.owner.as_str())
    .bind(record.label.as_str())
    .bind(record.digest.pepper)
    .bind(record.digest.hash.as_slice())
    .bind(record.scopes.to_string())
    .bind(networks)
    .bind(record.limit.map(|limit| limit.quota))
    .bind(record.limit.map(window))
    .bind(record.plan.as_ref().map(PlanName::as_str))
    .bind(write_nodes(&record.parents))
    .bind(record.created_at.as_micros())
    .bind(record.expires_at.map(Timestamp::as_micros))
    .bind(record.last_used_at.map(Timestamp::as_micros))
    .bind(state)
    .bind(ended_at.map(Timestamp::as_micros))
    .bind(successor)
    .bind(reason)
    .bind(record.version)
    .bind(origin)
    .bind(lookup.clone())
    .execute(conn)
    .await?;
    if made == 1 {
        return Ok(());
    }
    let there: Option<(i64,)> = sql("SELECT version FROM api_key WHERE id = $1 OR lookup = $2 LIMIT 1")
        .bind(record.id.as_str())
        .bind(lookup)
        .optional(conn)
        .await?;
    Err(Failed::Conflict(if there.is_some() { "key_exists" } else { "owner_unknown" }))
}

/// The texts of a list: one for each order, and one each with an owner, because one where the owner is optional would not use
/// the owner's index.
fn list_text(sort: KeySort, descending: bool, of_owner: bool) -> &'static str {
    macro_rules! list {
        ($value:literal $beyond:literal $way:literal $owner:literal) => {
            concat!(
                "SELECT ",
                columns!(),
                " FROM api_key WHERE (",
                $value,
                ", id) ",
                $beyond,
                " ($1, $2)
                 AND ($3 OR (state <> 'revoked' AND (expires_at IS NULL OR expires_at > $4)))
                 AND ($6 OR $7 = CASE WHEN state = 'revoked' THEN 'revoked' WHEN expires_at <= $8 THEN 'expired' ELSE state END)
                 AND ($9 OR environment = $10) AND ($11 OR expires_at < $12)
                 AND substr(label, 1, length($13)) = $13 ",
                $owner,
                " ORDER BY ",
                $value,
                $way,
                ", id",
                $way,
                " LIMIT $5"
            )
        };
    }
    macro_rules! either_way {
        ($value:literal) => {
            match (descending, of_owner) {
                (false, false) => list!($value ">" "" ""),
                (true, false) => list!($value "<" " DESC" ""),
                (false, true) => list!($value ">" "" "AND owner = $14"),
                (true, true) => list!($value "<" " DESC" "AND owner = $14"),
            }
        };
    }
    match sort {
        KeySort::CreatedAt => either_way!("created_at"),
        KeySort::ExpiresAt => either_way!("COALESCE(expires_at, 9223372036854775807)"),
        KeySort::LastUsedAt => either_way!("COALESCE(last_used_at, 0)"),
    }
}

/// What [`list_text`] sorts by.
fn place(sort: KeySort, key: &ApiKeyRecord) -> i64 {
    match sort {
        KeySort::CreatedAt => key.created_at.as_micros(),
        KeySort::ExpiresAt => key.expires_at.map_or(i64::MAX, Timestamp::as_micros),
        KeySort::LastUsedAt => key.last_used_at.map_or(0, Timestamp::as_micros),
    }
}

/// Where a list goes on: `VALUE.ID` of the last key seen, or from before the first one.
fn parse_cursor(after: Option<&str>, descending: bool) -> Result<(i64, String), Failed> {
    let Some(after) = after else {
        // `~` stands behind every character of an id
        return Ok(if descending { (i64::MAX, "~".into()) } else { (i64::MIN, String::new()) });
    };
    let read = || {
        let (value, id) = after.split_once('.')?;
        Some((value.parse().ok()?, KeyId::parse(id)?.to_string()))
    };
    read().ok_or(Failed::Conflict("cursor_invalid"))
}

impl ApiKeyStore for Store {
    fn find<'a>(&'a self, id: &'a KeyId) -> BoxFuture<'a, Result<Option<ApiKeyRecord>, StoreError>> {
        let id = *id;
        self.read(move |conn| {
            Box::pin(async move {
                let row: Option<KeyRow> =
                    sql(select!("WHERE id = $1")).bind(id.as_str()).optional(conn).await?;
                row.map(KeyRow::into_record).transpose()
            })
        })
    }

    fn find_imported<'a>(
        &'a self,
        lookups: Vec<Lookup>,
    ) -> BoxFuture<'a, Result<Vec<ApiKeyRecord>, StoreError>> {
        self.read(move |conn| {
            Box::pin(async move {
                let mut found = Vec::new();
                for lookup in lookups {
                    let row: Option<KeyRow> =
                        sql(select!("WHERE lookup = $1")).bind(lookup.0.as_slice()).optional(conn).await?;
                    found.extend(row.map(KeyRow::into_record).transpose()?);
                }
                Ok(found)
            })
        })
    }

    fn list<'a>(&'a self, query: ApiKeyQuery) -> BoxFuture<'a, Result<Page<ApiKeyRecord>, StoreError>> {
        self.read(move |conn| {
            Box::pin(async move {
                let limit = query.page.limit.clamp(1, PageRequest::MAX_LIMIT);
                let (value, id) = parse_cursor(query.page.after.as_deref(), query.descending)?;
                let (standing, standing_at) = query.standing.unzip();
                let mut list = sql(list_text(query.sort, query.descending, query.owner.is_some()))
                    .bind(value)
                    .bind(id)
                    .bind(query.usable_at.is_none())
                    .bind(query.usable_at.unwrap_or_default().as_micros())
                    .bind(limit + 1)
                    .bind(standing.is_none())
                    .bind(standing.map(KeyStanding::as_str))
                    .bind(standing_at.unwrap_or_default().as_micros())
                    .bind(query.environment.is_none())
                    .bind(query.environment.map(Environment::as_str))
                    .bind(query.expires_before.is_none())
                    .bind(query.expires_before.unwrap_or_default().as_micros())
                    .bind(query.label.unwrap_or_default());
                if let Some(owner) = &query.owner {
                    list = list.bind(owner.as_str());
                }
                let rows: Vec<KeyRow> = list.all(conn).await?;
                let cursor = |last: &ApiKeyRecord| format!("{}.{}", place(query.sort, last), last.id);
                super::page(rows, limit, KeyRow::into_record, cursor)
            })
        })
    }

    fn create<'a>(
        &'a self,
        record: ApiKeyRecord,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        let write = self.write(Purpose::Ordinary, move |unit| {
            Box::pin(async move {
                unit.claim(&event).await?;
                insert(&mut unit.conn, &record).await?;
                unit.audit(event);
                Ok(())
            })
        });
        Box::pin(async move { write.await.map(|_| ()) })
    }

    fn import<'a>(&'a self, keys: Vec<(ApiKeyRecord, AuditEvent)>) -> BoxFuture<'a, Result<(), StoreError>> {
        let write = self.write(Purpose::Ordinary, move |unit| {
            Box::pin(async move {
                for (record, event) in keys {
                    insert(&mut unit.conn, &record).await?;
                    unit.audit(event);
                }
                Ok(())
            })
        });
        Box::pin(async move { write.await.map(|_| ()) })
    }

    fn upgrade<'a>(&'a self, upgrade: Upgrade, event: AuditEvent) -> BoxFuture<'a, Result<(), StoreError>> {
        let write = self.write(Purpose::Ordinary, move |unit| {
            Box::pin(async move {
                let Upgrade { id, was, digest, lookup } = upgrade;
                let upgraded =
                    sql("UPDATE api_key SET digest = $4, pepper = $5, lookup = $6, origin = 'imported'
                     WHERE id = $1 AND digest = $2 AND pepper = $3 AND lookup IS NOT NULL")
                    .bind(id.as_str())
                    .bind(was.hash.as_slice())
                    .bind(was.pepper)
                    .bind(digest.hash.as_slice())
                    .bind(digest.pepper)
                    .bind(lookup.0.as_slice())
                    .execute(&mut unit.conn)
                    .await?;
                if upgraded == 1 {
                    unit.audit(event);
                }
                Ok(())
            })
        });
        Box::pin(async move { write.await.map(|_| ()) })
    }

    fn rotate<'a>(&'a self, rotation: Rotation, event: AuditEvent) -> BoxFuture<'a, Result<(), StoreError>> {
        let write = self.write(Purpose::Ordinary, move |unit| {
            Box::pin(async move {
                let Rotation { predecessor, version, at, predecessor_expires_at, successor } = rotation;
                unit.claim(&event).await?;
                let rotated = sql("UPDATE api_key
                     SET state = 'rotated', ended_at = $3, successor = $4, expires_at = $5, version = version + 1
                     WHERE id = $1 AND version = $2 AND state = 'active' AND owner = $6
                     AND (expires_at IS NULL OR expires_at > $3)")
                .bind(predecessor.as_str())
                .bind(version)
                .bind(at.as_micros())
                .bind(successor.id.as_str())
                .bind(predecessor_expires_at.as_micros())
                .bind(successor.owner.as_str())
                .execute(&mut unit.conn)
                .await?;
                if rotated != 1 {
                    return Err(Failed::Conflict("key_changed"));
                }
                insert(&mut unit.conn, &successor).await?;
                let (node, end) = (predecessor.node(), predecessor_expires_at);
                session::end_with_key(&mut unit.conn, &successor.owner, &node, end).await?;
                unit.change(NewChange { kind: ChangeKind::Changed, node, at, until: None });
                unit.audit(event);
                Ok(())
            })
        });
        Box::pin(async move { write.await.map(|_| ()) })
    }

    fn revoke<'a>(
        &'a self,
        id: &'a KeyId,
        version: Option<i64>,
        at: Timestamp,
        reason: RevocationReason,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<Revoked, StoreError>> {
        let id = *id;
        let write = self.write(Purpose::Revocation, move |unit| {
            Box::pin(async move {
                let revoked = sql("UPDATE api_key
                     SET state = 'revoked', ended_at = $2, reason = $3, version = version + 1
                     WHERE id = $1 AND state <> 'revoked' AND ($4 OR version = $5)")
                .bind(id.as_str())
                .bind(at.as_micros())
                .bind(reason.as_str())
                .bind(version.is_none())
                .bind(version)
                .execute(&mut unit.conn)
                .await?;
                if revoked != 1 {
                    let there: Option<(i64,)> = sql("SELECT version FROM api_key WHERE id = $1")
                        .bind(id.as_str())
                        .optional(&mut unit.conn)
                        .await?;
                    return Ok(match there {
                        None => Revoked::Unknown,
                        Some((stands,)) if version.is_some_and(|asked| asked != stands) => Revoked::Changed,
                        Some(_) => Revoked::Already,
                    });
                }
                // For ever: what descends from this key may have been rotated, and then lives longer than it would
                // have (RULES 2.5: a revocation outlives the last descendant).
                unit.change(NewChange::revoked(id.node(), at, None));
                unit.audit(event);
                Ok(Revoked::Now)
            })
        });
        Box::pin(async move { write.await.map(|(revoked, _)| revoked) })
    }

    fn used<'a>(&'a self, mut uses: Vec<(KeyId, Timestamp)>) -> BoxFuture<'a, Result<(), StoreError>> {
        uses.sort();
        self.write_noted(uses, |unit, (id, at)| {
            Box::pin(async move {
                sql("UPDATE api_key SET last_used_at = $2
                     WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)")
                .bind(id.as_str())
                .bind(at.as_micros())
                .execute(&mut unit.conn)
                .await?;
                Ok(())
            })
        })
    }

    fn peppers<'a>(&'a self, now: Timestamp) -> BoxFuture<'a, Result<Vec<u32>, StoreError>> {
        self.read(move |conn| {
            Box::pin(async move {
                let rows: Vec<(i64,)> = sql("SELECT DISTINCT pepper FROM api_key
                     WHERE state <> 'revoked' AND (expires_at IS NULL OR expires_at > $1) ORDER BY pepper")
                .bind(now.as_micros())
                .all(conn)
                .await?;
                let number = |(pepper,): (i64,)| {
                    u32::try_from(pepper).map_err(|_| Failed::Unreadable(format!("pepper number {pepper}")))
                };
                rows.into_iter().map(number).collect()
            })
        })
    }
}
