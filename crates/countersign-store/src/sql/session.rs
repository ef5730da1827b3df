//! The rows of sessions, and of the refresh tokens within them.

use super::{
    Store,
    dialect::{Conn, Failed, row, sql},
    revocation::{NewChange, parse_nodes, write_nodes},
    unit::Purpose,
};
use countersign_core::{
    BoxFuture, CredentialId, Node, PrincipalId, ScopeSet, StoreError, Timestamp,
    audit::AuditEvent,
    page::{Page, PageRequest},
};
use countersign_methods::session::{
    record::{EndReason, RefreshFamily, SessionKind, SessionRecord, SessionState, TokenDigest, session_node},
    store::{KeyEnd, Room, Rotated, Rotation, SessionEnded, SessionQuery, SessionStore},
};
use std::{net::IpAddr, sync::Arc, time::Duration};

row! { SessionRow {
    id: String, principal: String, kind: String, host: String, scopes: String, audiences: String, parents: String,
    amr: String, authenticated_at: i64, created_at: i64, last_used_at: i64, idle: i64, expires_at: i64, agent: String,
    address: Option<String>, cookie: Option<Vec<u8>>, refresh_current: Option<Vec<u8>>,
    refresh_previous: Option<Vec<u8>>, refresh_sealed: Option<Vec<u8>>, refresh_generation: Option<i64>,
    refresh_rotated_at: Option<i64>, ended_at: Option<i64>, end_reason: Option<String>,
} }

macro_rules! columns { () => {
    "id, principal, kind, host, scopes, audiences, parents, amr, authenticated_at, created_at, last_used_at, idle, expires_at, agent, address, cookie, refresh_current, refresh_previous, refresh_sealed, refresh_generation, refresh_rotated_at, ended_at, end_reason"
} }
macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT ", columns!(), " FROM session ", $rest)
    };
}

impl SessionRow {
    fn into_record(self) -> Result<SessionRecord, Failed> {
        let unreadable = |what| Failed::Unreadable(format!("{what} of session `{}`", self.id));
        Ok(SessionRecord {
            principal: PrincipalId::parse(&self.principal).ok_or_else(|| unreadable("principal"))?,
            kind: SessionKind::parse(&self.kind).ok_or_else(|| unreadable("kind"))?,
            scopes: ScopeSet::parse(&self.scopes).ok_or_else(|| unreadable("scopes"))?,
            audiences: parse_words(&self.audiences).ok_or_else(|| unreadable("audiences"))?,
            parents: parse_nodes(&self.parents).ok_or_else(|| unreadable("parents"))?,
            idle: u64::try_from(self.idle).map(Duration::from_micros).map_err(|_| unreadable("idle"))?,
            address: match &self.address {
                None => None,
                Some(address) => Some(address.parse::<IpAddr>().map_err(|_| unreadable("address"))?),
            },
            cookie: match &self.cookie {
                None => None,
                Some(bytes) => Some(digest(bytes).ok_or_else(|| unreadable("cookie"))?),
            },
            refresh: self.refresh().ok_or_else(|| unreadable("refresh token"))?,
            state: self.state().ok_or_else(|| unreadable("state"))?,
            id: CredentialId::new(&self.id),
            authenticated_at: Timestamp::from_micros(self.authenticated_at),
            created_at: Timestamp::from_micros(self.created_at),
            last_used_at: Timestamp::from_micros(self.last_used_at),
            expires_at: Timestamp::from_micros(self.expires_at),
            host: self.host,
            amr: self.amr,
            agent: self.agent,
        })
    }

    /// All of its columns, or none of them.
    fn refresh(&self) -> Option<Option<RefreshFamily>> {
        let (previous, sealed) = (&self.refresh_previous, &self.refresh_sealed);
        let (current, generation, rotated_at) =
            match (&self.refresh_current, self.refresh_generation, self.refresh_rotated_at) {
                (None, None, None) => return (previous.is_none() && sealed.is_none()).then_some(None),
                (current, generation, rotated_at) => (current.as_deref()?, generation?, rotated_at?),
            };
        let previous = match (previous, sealed) {
            (None, None) => None,
            (previous, sealed) => Some((digest(previous.as_deref()?)?, sealed.clone()?)),
        };
        let rotated_at = Timestamp::from_micros(rotated_at);
        Some(Some(RefreshFamily { current: digest(current)?, previous, generation, rotated_at }))
    }

    fn state(&self) -> Option<SessionState> {
        match (self.ended_at, self.end_reason.as_deref()) {
            (None, None) => Some(SessionState::Open),
            (at, reason) => Some(SessionState::Ended {
                at: Timestamp::from_micros(at?),
                reason: EndReason::parse(reason?)?,
            }),
        }
    }
}

fn digest(bytes: &[u8]) -> Option<TokenDigest> {
    bytes.try_into().ok().map(TokenDigest)
}

/// A JSON array of strings.
fn parse_words(text: &str) -> Option<Arc<[Arc<str>]>> {
    let words: Vec<String> = serde_json::from_str(text).ok()?;
    Some(words.into_iter().map(Arc::from).collect())
}

fn write_words(words: &[Arc<str>]) -> String {
    serde_json::Value::from(words.iter().map(|word| word.to_string()).collect::<Vec<_>>()).to_string()
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// The principal's row holds still until it is there: none is made for one who is being disabled, and none of a
/// generation that is being ended.
async fn insert(conn: &mut Conn<'_>, record: &SessionRecord, generation: i64) -> Result<(), Failed> {
    let refresh = record.refresh.as_ref();
    let (previous, sealed) = refresh.and_then(|family| family.previous.as_ref()).map(|(d, s)| (d, s)).unzip();
    let (ended_at, reason) = match record.state {
        SessionState::Open => (None, None),
        SessionState::Ended { at, reason } => (Some(at.as_micros()), Some(reason.as_str())),
    };
    let made = sql(concat!(
        "INSERT INTO session (",
        columns!(),
        ") SELECT $1, id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23
         FROM principal WHERE id = $2 AND enabled AND generation = $24 /* share */ ON CONFLICT DO NOTHING"
    ))
    .bind(record.id.as_str())
    .bind(record.principal.as_str())
    .bind(record.kind.as_str())
    .bind(record.host.as_str())
    .bind(record.scopes.to_string())
    .bind(write_words(&record.audiences))
    .bind(write_nodes(&record.parents))
    .bind(record.amr.as_str())
    .bind(record.authenticated_at.as_micros())
    .bind(record.created_at.as_micros())
    .bind(record.last_used_at.as_micros())
    .bind(micros(record.idle))
    .bind(record.expires_at.as_micros())
    .bind(record.agent.as_str())
    .bind(record.address.map(|address| address.to_string()))
    .bind(record.cookie.as_ref().map(|digest| digest.0.as_slice()))
    .bind(refresh.map(|family| family.current.0.as_slice()))
    .bind(previous.map(|digest| digest.0.as_slice()))
    .bind(sealed.map(Vec::as_slice))
    .bind(refresh.map(|family| family.generation))
    .bind(refresh.map(|family| family.rotated_at.as_micros()))
    .bind(ended_at)
    .bind(reason)
    .bind(generation)
    .execute(conn)
    .await?;
    if made == 1 {
        return Ok(());
    }
    let there = is_there(conn, &record.id).await?;
    Err(Failed::Conflict(if there { "session_exists" } else { "principal_changed" }))
}

async fn is_there(conn: &mut Conn<'_>, id: &CredentialId) -> Result<bool, Failed> {
    let row: Option<(String,)> =
        sql("SELECT id FROM session WHERE id = $1").bind(id.as_str()).optional(conn).await?;
    Ok(row.is_some())
}

/// Which ended now. One that only seems idle ends too: its last use may be noted and not yet written, and would open it
/// again.
async fn end_all(
    conn: &mut Conn<'_>,
    principal: &PrincipalId,
    except: Option<&CredentialId>,
    at: Timestamp,
) -> Result<Vec<CredentialId>, Failed> {
    let except = except.map_or("", CredentialId::as_str);
    // in the order in which uses are written, so that two transactions never wait for each other crosswise
    let _: Vec<(String,)> =
        sql("SELECT id FROM session WHERE principal = $1 AND ended_at IS NULL ORDER BY id /* update */")
            .bind(principal.as_str())
            .all(conn)
            .await?;
    let ended: Vec<(String,)> = sql("UPDATE session SET ended_at = $3, end_reason = $4
         WHERE principal = $1 AND id <> $2 AND ended_at IS NULL AND expires_at > $3 RETURNING id")
    .bind(principal.as_str())
    .bind(except)
    .bind(at.as_micros())
    .bind(EndReason::Revoked.as_str())
    .all(conn)
    .await?;
    Ok(ended.iter().map(|(id,)| CredentialId::new(id)).collect())
}

/// The credential that was shown stands first among the parents.
fn began_with(credential: Option<&Node>, parents: &str) -> bool {
    parse_nodes(parents).is_some_and(|parents| parents.first() == credential)
}

/// Which ended because the new one has the place of the oldest. Where several begin at once one more may stay.
async fn displace(conn: &mut Conn<'_>, new: &SessionRecord, most: u32) -> Result<Vec<CredentialId>, Failed> {
    let at = new.created_at.as_micros();
    let open: Vec<(i64, String, String)> = sql("SELECT created_at, id, parents FROM session
         WHERE principal = $1 AND id <> $2 AND ended_at IS NULL AND expires_at > $3 AND last_used_at > $3 - idle")
    .bind(new.principal.as_str())
    .bind(new.id.as_str())
    .bind(at)
    .all(conn)
    .await?;
    let open = open.into_iter().filter(|(_, _, parents)| began_with(new.parents.first(), parents));
    let mut open: Vec<(i64, String)> = open.map(|(at, id, _)| (at, id)).collect();
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    open.sort();
    open.truncate((open.len() + 1).saturating_sub(most));
    // in the order in which uses are written, so that two transactions never wait for each other crosswise
    open.sort_by(|a, b| a.1.cmp(&b.1));
    let mut ended = Vec::new();
    for (_, id) in open {
        let now = sql("UPDATE session SET ended_at = $2, end_reason = $3 WHERE id = $1 AND ended_at IS NULL")
            .bind(id.as_str())
            .bind(at)
            .bind(EndReason::Displaced.as_str())
            .execute(conn)
            .await?;
        ended.extend((now == 1).then(|| CredentialId::new(&id)));
    }
    Ok(ended)
}

/// RULES 2.6: what this key was exchanged for ends no later than it does. One that is being begun meanwhile is looked after when it
/// is refreshed.
pub(super) async fn end_with_key(
    conn: &mut Conn<'_>,
    owner: &PrincipalId,
    key: &Node,
    end: Timestamp,
) -> Result<(), Failed> {
    let open: Vec<(String, String)> = sql("SELECT id, parents FROM session
         WHERE principal = $1 AND ended_at IS NULL AND expires_at > $2 ORDER BY id /* update */")
    .bind(owner.as_str())
    .bind(end.as_micros())
    .all(conn)
    .await?;
    for (id, _) in open.iter().filter(|(_, parents)| began_with(Some(key), parents)) {
        sql("UPDATE session SET expires_at = $2 WHERE id = $1")
            .bind(id.as_str())
            .bind(end.as_micros())
            .execute(conn)
            .await?;
    }
    Ok(())
}

/// `MICROSECONDS.ID` of the last one seen, or from before the first one.
fn parse_cursor(after: Option<&str>) -> Result<(i64, String), Failed> {
    // `~` stands behind every character of an id
    let Some(after) = after else { return Ok((i64::MAX, "~".into())) };
    let read = || {
        let (at, id) = after.split_once('.')?;
        let is_id = (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
        Some((at.parse().ok()?, is_id.then(|| id.to_owned())?))
    };
    read().ok_or(Failed::Conflict("cursor_invalid"))
}

impl SessionStore for Store {
    fn generation<'a>(
        &'a self,
        principal: &'a PrincipalId,
    ) -> BoxFuture<'a, Result<Option<i64>, StoreError>> {
        let principal = principal.to_string();
        self.read(move |conn| {
            Box::pin(async move {
                let row: Option<(i64,)> = sql("SELECT generation FROM principal WHERE id = $1")
                    .bind(principal)
                    .optional(conn)
                    .await?;
                Ok(row.map(|(generation,)| generation))
            })
        })
    }

    fn create<'a>(
        &'a self,
        record: SessionRecord,
        generation: i64,
        room: Room,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        let write = self.write(Purpose::Ordinary, move |unit| {
            Box::pin(async move {
                unit.claim(&event).await?;
                insert(&mut unit.conn, &record, generation).await?;
                for id in displace(&mut unit.conn, &record, room.most).await? {
                    unit.change(NewChange::revoked(session_node(&id), record.created_at, Some(room.until)));
                }
                unit.audit(event);
                Ok(())
            })
        });
        Box::pin(async move { write.await.map(|_| ()) })
    }

    fn key_end<'a>(&'a self, key: &'a Node) -> BoxFuture<'a, Result<KeyEnd, StoreError>> {
        let id = key.id.to_string();
        self.read(move |conn| {
            Box::pin(async move {
                let row: Option<(Option<i64>,)> =
                    sql("SELECT expires_at FROM api_key WHERE id = $1 AND state <> 'revoked'")
                        .bind(id)
                        .optional(conn)
                        .await?;
                Ok(match row {
                    Some((Some(end),)) => KeyEnd::At(Timestamp::from_micros(end)),
                    Some((None,)) => KeyEnd::Never,
                    None => KeyEnd::Over,
                })
            })
        })
    }

    fn find<'a>(&'a self, id: &'a CredentialId) -> BoxFuture<'a, Result<Option<SessionRecord>, StoreError>> {
        let id = id.to_string();
        self.read(move |conn| {
            Box::pin(async move {
                let row: Option<SessionRow> = sql(select!("WHERE id = $1")).bind(id).optional(conn).await?;
                row.map(SessionRow::into_record).transpose()
            })
        })
    }

    fn list<'a>(&'a self, query: SessionQuery) -> BoxFuture<'a, Result<Page<SessionRecord>, StoreError>> {
        self.read(move |conn| {
            Box::pin(async move {
                let limit = query.page.limit.clamp(1, PageRequest::MAX_LIMIT);
                let (at, id) = parse_cursor(query.page.after.as_deref())?;
                // two texts, because one where the principal is optional would not use the principal's index
                let list = match &query.principal {
                    None => sql(select!(
                        "WHERE (created_at, id) < ($1, $2)
                         AND ($3 OR (ended_at IS NULL AND expires_at > $4 AND last_used_at > $4 - idle))
                         ORDER BY created_at DESC, id DESC LIMIT $5"
                    )),
                    Some(_) => sql(select!(
                        "WHERE (created_at, id) < ($1, $2)
                         AND ($3 OR (ended_at IS NULL AND expires_at > $4 AND last_used_at > $4 - idle))
                         AND principal = $6 ORDER BY created_at DESC, id DESC LIMIT $5"
                    )),
                };
                let mut list = list
                    .bind(at)
                    .bind(id)
                    .bind(query.open_at.is_none())
                    .bind(query.open_at.unwrap_or_default().as_micros())
                    .bind(limit + 1);
                if let Some(principal) = &query.principal {
                    list = list.bind(principal.as_str());
                }
                let rows: Vec<SessionRow> = list.all(conn).await?;
                super::page(rows, limit, SessionRow::into_record, |last| {
                    format!("{}.{}", last.created_at.as_micros(), last.id)
                })
            })
        })
    }

    fn rotate<'a>(
        &'a self,
        rotation: Rotation,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<Rotated, StoreError>> {
        let write = self.write(Purpose::Ordinary, move |unit| {
            Box::pin(async move {
                let Rotation { id, from, to, sealed, at } = rotation;
                // nothing for the feed: what a refresh token of a session gave stays good
                let rotated = sql("UPDATE session
                     SET refresh_current = $3, refresh_previous = $2, refresh_sealed = $4,
                     refresh_generation = refresh_generation + 1, refresh_rotated_at = $5,
                     last_used_at = CASE WHEN last_used_at > $5 THEN last_used_at ELSE $5 END
                     WHERE id = $1 AND refresh_current = $2 AND ended_at IS NULL
                     AND expires_at > $5 AND last_used_at > $5 - idle")
                .bind(id.as_str())
                .bind(from.0.as_slice())
                .bind(to.0.as_slice())
                .bind(sealed)
                .bind(at.as_micros())
                .execute(&mut unit.conn)
                .await?;
                if rotated != 1 {
                    return Ok(Rotated::Lost);
                }
                unit.audit(event);
                Ok(Rotated::Done)
            })
        });
        Box::pin(async move { write.await.map(|(rotated, _)| rotated) })
    }

    fn end<'a>(
        &'a self,
        id: &'a CredentialId,
        reason: EndReason,
        at: Timestamp,
        until: Timestamp,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<SessionEnded, StoreError>> {
        let id = id.clone();
        let write = self.write(Purpose::Revocation, move |unit| {
            Box::pin(async move {
                let ended = sql("UPDATE session SET ended_at = $2, end_reason = $3
                     WHERE id = $1 AND ended_at IS NULL")
                .bind(id.as_str())
                .bind(at.as_micros())
                .bind(reason.as_str())
                .execute(&mut unit.conn)
                .await?;
                if ended == 1 {
                    unit.change(NewChange::revoked(session_node(&id), at, Some(until)));
                    unit.audit(event);
                    return Ok(SessionEnded::Now);
                }
                let there = is_there(&mut unit.conn, &id).await?;
                Ok(if there { SessionEnded::Already } else { SessionEnded::Unknown })
            })
        });
        Box::pin(async move { write.await.map(|(ended, _)| ended) })
    }

    fn end_others<'a>(
        &'a self,
        principal: &'a PrincipalId,
        except: &'a CredentialId,
        at: Timestamp,
        until: Timestamp,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        let (principal, except) = (principal.clone(), except.clone());
        let write = self.write(Purpose::Revocation, move |unit| {
            Box::pin(async move {
                let ended = end_all(&mut unit.conn, &principal, Some(&except), at).await?;
                if !ended.is_empty() {
                    unit.audit(event);
                }
                for id in &ended {
                    unit.change(NewChange::revoked(session_node(id), at, Some(until)));
                }
                Ok(ended.len() as u64)
            })
        });
        Box::pin(async move { write.await.map(|(ended, _)| ended) })
    }

    fn end_generation<'a>(
        &'a self,
        principal: &'a PrincipalId,
        at: Timestamp,
        until: Timestamp,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<Option<(i64, u64)>, StoreError>> {
        let principal = principal.clone();
        let write = self.write(Purpose::Revocation, move |unit| {
            Box::pin(async move {
                // before the sessions: one that is being made is there when this has its turn, or is refused
                let row: Option<(i64,)> = sql("UPDATE principal SET generation = generation + 1
                     WHERE id = $1 RETURNING generation - 1")
                .bind(principal.as_str())
                .optional(&mut unit.conn)
                .await?;
                let Some((generation,)) = row else { return Ok(None) };
                let ended = end_all(&mut unit.conn, &principal, None, at).await?;
                unit.change(NewChange::revoked(Node::generation(&principal, generation), at, Some(until)));
                unit.audit(event);
                Ok(Some((generation, ended.len() as u64)))
            })
        });
        Box::pin(async move { write.await.map(|(ended, _)| ended) })
    }

    fn used<'a>(&'a self, mut uses: Vec<(CredentialId, Timestamp)>) -> BoxFuture<'a, Result<(), StoreError>> {
        uses.sort();
        self.write_noted(uses, |unit, (id, at)| {
            Box::pin(async move {
                sql("UPDATE session SET last_used_at = $2 WHERE id = $1 AND last_used_at < $2")
                    .bind(id.as_str())
                    .bind(at.as_micros())
                    .execute(&mut unit.conn)
                    .await?;
                Ok(())
            })
        })
    }

    fn prune<'a>(&'a self, before: Timestamp, most: u32) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async move {
            // looked for beside the writer: no index says what is over, because a refresh would have to write it
            let found = self.read(move |conn| {
                Box::pin(async move {
                    let rows: Vec<(String,)> = sql("SELECT id FROM session WHERE created_at < $1
                         AND (ended_at < $1 OR expires_at < $1 OR last_used_at < $1 - idle)
                         ORDER BY created_at, id LIMIT $2")
                    .bind(before.as_micros())
                    .bind(most)
                    .all(conn)
                    .await?;
                    Ok(rows)
                })
            });
            let mut found = found.await?;
            // in the order in which uses are written
            found.sort();
            let mut removed = 0;
            for part in found.chunks(256) {
                let part = part.to_vec();
                let write = self.write(Purpose::Ordinary, move |unit| {
                    Box::pin(async move {
                        let mut removed = 0;
                        for (id,) in part {
                            // it may have been used since
                            removed += sql("DELETE FROM session WHERE id = $1
                                 AND (ended_at < $2 OR expires_at < $2 OR last_used_at < $2 - idle)")
                            .bind(id)
                            .bind(before.as_micros())
                            .execute(&mut unit.conn)
                            .await?;
                        }
                        Ok(removed)
                    })
                });
                let (part, _) = write.await?;
                removed += part;
            }
            Ok(removed)
        })
    }
}
