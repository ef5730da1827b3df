//! The rows of sessions, and of the refresh tokens within them.

mod row;

use super::{
    Store,
    dialect::{Conn, Failed, sql},
    revocation::{NewChange, write_nodes},
    unit::Purpose,
};
use countersign_core::{
    BoxFuture, CredentialId, Node, PrincipalId, StoreError, Timestamp,
    audit::AuditEvent,
    page::{Page, PageRequest},
};
use countersign_methods::session::{
    record::{EndReason, SessionRecord, SessionState, session_node},
    store::{Before, KeyEnd, Room, Rotated, Rotation, SessionEnded, SessionQuery, SessionStore},
};
use row::{SessionRow, columns, select, write_words};
use std::time::Duration;

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
        ", credential) SELECT $1, id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $25
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
    .bind(credential(record))
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

/// A page of it that is open at a time, the newest first. `+ 0`: by the index of what nobody ended, not by the one in this
/// order.
const OPEN_OF_PRINCIPAL: &str = select!(
    "WHERE (created_at + 0, id) < ($1, $2) AND principal = $3
     AND ended_at IS NULL AND expires_at > $4 AND last_used_at > $4 - idle
     ORDER BY created_at + 0 DESC, id DESC LIMIT $5"
);

/// What nobody ended of one principal.
const OF_PRINCIPAL: &str =
    "SELECT id FROM session WHERE principal = $1 AND ended_at IS NULL ORDER BY id /* update */";

const END_OF_PRINCIPAL: &str = "UPDATE session SET ended_at = $3, end_reason = $4
     WHERE principal = $1 AND id <> $2 AND ended_at IS NULL AND expires_at > $3 RETURNING id";

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
    let _: Vec<(String,)> = sql(OF_PRINCIPAL).bind(principal.as_str()).all(conn).await?;
    let ended: Vec<(String,)> = sql(END_OF_PRINCIPAL)
        .bind(principal.as_str())
        .bind(except)
        .bind(at.as_micros())
        .bind(EndReason::Revoked.as_str())
        .all(conn)
        .await?;
    Ok(ended.iter().map(|(id,)| CredentialId::new(id)).collect())
}

/// The credential that was shown stands first among the parents.
fn credential(record: &SessionRecord) -> String {
    record.parents.first().map(Node::to_string).unwrap_or_default()
}

/// What nobody ended of one credential; those that are over first, then the oldest.
const OF_CREDENTIAL: &str = "SELECT id FROM session
     WHERE credential = $1 AND principal = $2 AND id <> $3 AND ended_at IS NULL
     ORDER BY (expires_at > $4 AND last_used_at > $4 - idle), created_at, id LIMIT $5";

/// The same, of those that last longer than this, in the order in which uses are written.
const OUTLASTING: &str = "SELECT id FROM session
     WHERE credential = $1 AND principal = $2 AND ended_at IS NULL AND expires_at > $3 ORDER BY id /* update */";

/// Which ended because the new one has the place of the oldest; those that are over go first. Where several begin at once one
/// more may stay.
async fn displace(conn: &mut Conn<'_>, new: &SessionRecord, most: u32) -> Result<Vec<CredentialId>, Failed> {
    let at = new.created_at.as_micros();
    let mut known: Vec<(String,)> = sql(OF_CREDENTIAL)
        .bind(credential(new))
        .bind(new.principal.as_str())
        .bind(new.id.as_str())
        .bind(at)
        .bind(i64::from(most) + i64::from(Room::AT_ONCE) - 1)
        .all(conn)
        .await?;
    let beyond = (known.len() + 1).saturating_sub(usize::try_from(most).unwrap_or(usize::MAX));
    known.truncate(beyond);
    // in the order in which uses are written, so that two transactions never wait for each other crosswise
    known.sort();
    let mut ended = Vec::new();
    for (id,) in known {
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
    let open: Vec<(String,)> =
        sql(OUTLASTING).bind(key.to_string()).bind(owner.as_str()).bind(end.as_micros()).all(conn).await?;
    for (id,) in open {
        sql("UPDATE session SET expires_at = $2 WHERE id = $1")
            .bind(id)
            .bind(end.as_micros())
            .execute(conn)
            .await?;
    }
    Ok(())
}

/// The words stand in the text, as in the index that has these alone.
const ENDED_BY_HOLDER: &str = "SELECT id FROM session
     WHERE end_reason IN ('displaced', 'signed_out') AND ended_at < $1 ORDER BY ended_at LIMIT $2";

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
                let displaced = displace(&mut unit.conn, &record, room.most).await?;
                for id in &displaced {
                    unit.change(NewChange::revoked(session_node(id), record.created_at, Some(room.until)));
                }
                unit.audit(Room::tell(event, &displaced));
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
                // several texts, because no index serves one where principal and state are optional
                let list = match (&query.principal, query.open_at) {
                    (None, _) => sql(select!(
                        "WHERE (created_at, id) < ($1, $2)
                         AND ($3 OR (ended_at IS NULL AND expires_at > $4 AND last_used_at > $4 - idle))
                         ORDER BY created_at DESC, id DESC LIMIT $5"
                    ))
                    .bind(at)
                    .bind(id)
                    .bind(query.open_at.is_none())
                    .bind(query.open_at.unwrap_or_default().as_micros()),
                    (Some(principal), None) => sql(select!(
                        "WHERE (created_at, id) < ($1, $2) AND principal = $3
                         ORDER BY created_at DESC, id DESC LIMIT $4"
                    ))
                    .bind(at)
                    .bind(id)
                    .bind(principal.as_str()),
                    (Some(principal), Some(open_at)) => sql(OPEN_OF_PRINCIPAL)
                        .bind(at)
                        .bind(id)
                        .bind(principal.as_str())
                        .bind(open_at.as_micros()),
                };
                let list = list.bind(limit + 1);
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

    fn prune<'a>(&'a self, before: Before, most: u32) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async move {
            let (over, by_holder) = (before.over.as_micros(), before.ended_by_holder.as_micros());
            // looked for beside the writer: no index says what is over, because a refresh would have to write it
            let found = self.read(move |conn| {
                Box::pin(async move {
                    let mut found: Vec<(String,)> =
                        sql(ENDED_BY_HOLDER).bind(by_holder).bind(most).all(conn).await?;
                    let left = most.saturating_sub(u32::try_from(found.len()).unwrap_or(most));
                    let rest: Vec<(String,)> = sql("SELECT id FROM session WHERE created_at < $1
                         AND (ended_at < $1 OR expires_at < $1 OR last_used_at < $1 - idle)
                         ORDER BY created_at, id LIMIT $2")
                    .bind(over)
                    .bind(left)
                    .all(conn)
                    .await?;
                    found.extend(rest);
                    Ok(found)
                })
            });
            let mut found = found.await?;
            // in the order in which uses are written
            found.sort();
            found.dedup();
            let mut removed = 0;
            for part in found.chunks(256) {
                let part = part.to_vec();
                let write = self.write(Purpose::Ordinary, move |unit| {
                    Box::pin(async move {
                        let mut removed = 0;
                        for (id,) in part {
                            // it may have been used since
                            removed += sql("DELETE FROM session WHERE id = $1
                                 AND (ended_at < $2 OR expires_at < $2 OR last_used_at < $2 - idle
                                 OR (end_reason IN ('displaced', 'signed_out') AND ended_at < $3))")
                            .bind(id)
                            .bind(over)
                            .bind(by_holder)
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

#[cfg(test)]
mod tests;
