//! What a restore must do beyond bringing back rows (RULES 4.6): the copy is older than what callers and other processes
//! have seen, and must not be taken for it.
//!
//! The next epoch begins, and no session goes on into it. What ended after the copy ends again, as far as the exported
//! trail tells, and the trail's records come back with it. The numbers of feed and trail go on at the time in microseconds: above every number that
//! was given out since the copy, whichever copy was restored how often.

use super::{CopyError, Header, Restore, Restored};
use crate::{
    chain::{self, AFTER, RESTORED},
    sql::{
        audit,
        dialect::{Conn, Failed, sql},
        revocation::{self, NewChange},
    },
};
use countersign_core::{
    Node, NodeKind, PrincipalId, ScopeSet, Timestamp,
    audit::{Actor, AuditEvent, AuditRecord},
};
use countersign_methods::{
    api_key::record::{KeyId, RevocationReason},
    jwt::foreign::ForeignIssuer,
    revocation::store::ChangeKind,
    session::record::EndReason,
};
use std::collections::{BTreeMap, BTreeSet};

/// Records of an exported trail, in their order; each can fail to be read.
pub type Newer<'a> = Box<dyn Iterator<Item = Result<AuditRecord, String>> + 'a>;

/// In `meta`: which key counts as the first operator's. It was good once and may have ended since.
const FIRST_KEY: &str = "first_operator_key";

pub(super) async fn begin(
    conn: &mut Conn<'_>,
    header: &Header,
    digest: &[u8; 32],
    restore: Restore<'_>,
) -> Result<Restored, CopyError> {
    let Restore { now, by, newer } = restore;
    let mut restored = Restored { epoch: header.epoch.saturating_add(1), ..Restored::default() };
    sql("UPDATE meta SET value = $1 WHERE key = 'epoch'")
        .bind(restored.epoch.to_string())
        .execute(conn)
        .await?;
    let mut ends = Ends::default();
    if let Some(newer) = newer {
        merge(conn, header, newer, &mut ends, &mut restored).await?;
    }
    let first: Option<(String,)> =
        sql("SELECT value FROM meta WHERE key = $1").bind(FIRST_KEY).optional(conn).await?;
    if let Some(key) = first.and_then(|(id,)| KeyId::parse(&id)) {
        ends.keys.entry(key.to_string()).or_insert((now, RevocationReason::Operator.as_str().to_owned()));
        sql("UPDATE meta SET value = '' WHERE key = $1").bind(FIRST_KEY).execute(conn).await?;
    }

    let feed = above(header.feed, now);
    sql("UPDATE feed_head SET position = $1 WHERE id = 1").bind(feed).execute(conn).await?;
    let generations = std::mem::take(&mut ends.generations);
    let mut changes = ends.apply(conn, now).await?;
    restored.ended = changes.len() as u64;
    restored.sessions = end_sessions(conn, now, &generations, &mut changes).await?;
    revocation::append(conn, changes).await?;

    let (last, _) = audit::head(conn).await?;
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let event = AuditEvent {
        at: now,
        actor: Actor::Host,
        action: RESTORED,
        subject: hex,
        source: None,
        request: None,
        detail: vec![
            (AFTER, last.to_string()),
            ("by", by),
            ("copied_at", (header.made_at / 1_000_000).to_string()),
            ("epoch", restored.epoch.to_string()),
            ("ended", restored.ended.to_string()),
            ("records", restored.records.to_string()),
            ("sessions", restored.sessions.to_string()),
        ],
        once: None,
    };
    sql("INSERT INTO audit_head (id, number, hash) VALUES (1, $1, $2) ON CONFLICT (id) DO UPDATE SET number = $1")
        .bind(above(last, now))
        .bind(chain::START.as_slice())
        .execute(conn)
        .await?;
    audit::append(conn, vec![event]).await?;
    Ok(restored)
}

/// Another engine, the same store: a record says so.
pub(super) async fn moved(
    conn: &mut Conn<'_>,
    header: &Header,
    now: Timestamp,
    by: String,
) -> Result<(), CopyError> {
    let to = match conn {
        Conn::Sqlite(_) => "sqlite",
        Conn::Postgres(_) => "postgres",
    };
    let event = AuditEvent {
        at: now,
        actor: Actor::Host,
        action: "store.migrate",
        subject: to.into(),
        source: None,
        request: None,
        detail: vec![("from", header.engine.clone()), ("by", by)],
        once: None,
    };
    audit::append(conn, vec![event]).await?;
    Ok(())
}

fn above(number: i64, now: Timestamp) -> i64 {
    now.as_micros().max(number.saturating_add(1))
}

/// Every open session ends, and everything signed for anybody is called back: which refresh tokens were used since the
/// copy is not known. How many sessions.
async fn end_sessions(
    conn: &mut Conn<'_>,
    now: Timestamp,
    later: &BTreeMap<String, i64>,
    changes: &mut Vec<NewChange>,
) -> Result<u64, Failed> {
    let ended = sql("UPDATE session SET ended_at = $1, end_reason = $2
         WHERE ended_at IS NULL AND expires_at > $1")
    .bind(now.as_micros())
    .bind(EndReason::Revoked.as_str())
    .execute(conn)
    .await?;
    let generations: Vec<(String, i64)> =
        sql("SELECT id, generation FROM principal ORDER BY id").all(conn).await?;
    for (id, copied) in generations {
        let later = later.get(&id).copied().unwrap_or_default();
        changes.extend((copied..=copied.saturating_add(later)).map(|generation| NewChange {
            kind: ChangeKind::Revoked,
            node: Node::new(NodeKind::Generation, &format!("{id}.{generation}")),
            at: now,
            // for ever: what descends from it may live longer than anything that is known here
            until: None,
        }));
    }
    // ahead of any that began after the copy, so that none of those begins a second time
    sql("UPDATE principal SET generation = CASE WHEN generation >= $1 THEN generation + 1 ELSE $1 END")
        .bind(now.as_micros())
        .execute(conn)
        .await?;
    Ok(ended)
}

/// What ended after the copy.
#[derive(Default)]
struct Ends {
    keys: BTreeMap<String, (Timestamp, String)>,
    /// Good until then: their successors are not in the copy.
    rotated: BTreeMap<String, Timestamp>,
    app_passwords: BTreeMap<String, Timestamp>,
    passwords: BTreeSet<String>,
    signing_keys: BTreeMap<String, Timestamp>,
    disabled: BTreeMap<String, Timestamp>,
    /// For good.
    revoked: BTreeMap<String, Timestamp>,
    /// How often everything signed for a principal was called back.
    generations: BTreeMap<String, i64>,
    /// Of other issuers, each called back by itself. Those of ours end all together.
    tokens: BTreeMap<String, Timestamp>,
    /// The scopes that a principal had at last; it gets none that the copy has and these have not.
    scopes: BTreeMap<String, ScopeSet>,
}

/// Brings back the records after the copy's last one; they must go on exactly there.
async fn merge(
    conn: &mut Conn<'_>,
    header: &Header,
    newer: Newer<'_>,
    ends: &mut Ends,
    restored: &mut Restored,
) -> Result<(), CopyError> {
    let (mut number, mut hash) = audit::head(conn).await?;
    let mut lost: BTreeMap<String, u64> = BTreeMap::new();
    for record in newer {
        let record = record.map_err(CopyError::Audit)?;
        if record.number < header.audit {
            continue;
        }
        if record.number == header.audit {
            if record.hash.as_slice() != header.audit_hash {
                return Err(CopyError::Audit(format!(
                    "its record {number} is another one: it is of another store"
                )));
            }
            continue;
        }
        if !chain::follows(number, &hash, &record) {
            let found = record.number;
            return Err(CopyError::Audit(format!(
                "record {} should come after record {number}, and record {found} does not follow it",
                number.saturating_add(1)
            )));
        }
        if !ends.note(&record) {
            *lost.entry(record.event.action.clone()).or_default() += 1;
        }
        (number, hash) = (record.number, record.hash);
        restored.records += 1;
        audit::insert(conn, record).await?;
    }
    restored.lost = lost.into_iter().collect();
    if restored.records == 0 {
        return Ok(());
    }
    sql("INSERT INTO audit_head (id, number, hash) VALUES (1, $1, $2)
         ON CONFLICT (id) DO UPDATE SET number = excluded.number, hash = excluded.hash")
    .bind(number)
    .bind(hash.as_slice())
    .execute(conn)
    .await?;
    Ok(())
}

impl Ends {
    /// `false`: it is no end.
    fn note(&mut self, record: &AuditRecord) -> bool {
        let event = &record.event;
        let detail: serde_json::Value = serde_json::from_str(&event.detail).unwrap_or_default();
        let said = |name: &str| detail.get(name).and_then(serde_json::Value::as_str);
        let scopes = |name| said(name).and_then(ScopeSet::parse);
        let narrows = match (scopes("scopes_before"), scopes("scopes")) {
            (Some(before), Some(after)) if event.action.starts_with("principal.") => {
                let narrows = after.is_subset(&before);
                self.scopes.insert(event.subject.clone(), after);
                narrows
            }
            _ => false,
        };
        match event.action.as_str() {
            "principal.change" => return narrows,
            "api_key.revoke" => {
                let reason = said("reason").unwrap_or(RevocationReason::Operator.as_str());
                self.keys.insert(event.subject.clone(), (event.at, reason.to_owned()));
            }
            "api_key.rotate" => {
                let ends = said("predecessor_expires_at").and_then(|at| at.parse().ok());
                let ends = ends.map_or(event.at, Timestamp::from_seconds);
                self.rotated.insert(event.subject.clone(), ends);
            }
            "app_password.revoke" => {
                self.app_passwords.insert(event.subject.clone(), event.at);
            }
            // which one came in its place is not in the trail: the person needs a new one
            "password.set" | "password.change" | "password.remove" => {
                self.passwords.insert(event.subject.clone());
            }
            "signing_key.revoke" => {
                self.signing_keys.insert(event.subject.clone(), event.at);
            }
            "principal.disable" => {
                self.disabled.insert(event.subject.clone(), event.at);
            }
            "principal.enable" => {
                self.disabled.remove(&event.subject);
            }
            "revocation.create" => match event.subject.strip_prefix("principal:") {
                Some(id) => {
                    self.revoked.insert(id.to_owned(), event.at);
                }
                None => return false,
            },
            // RULES 1.8: with its issuer's name before it
            "token.revoke" => {
                if event.subject.contains(':') {
                    self.tokens.insert(event.subject.clone(), event.at);
                }
            }
            // all of them end, and so do those that began after it
            "token.revoke_all" => *self.generations.entry(event.subject.clone()).or_default() += 1,
            action if action.starts_with("session.") => {}
            _ => return false,
        }
        true
    }

    /// Only what is in the copy, and still good there, ends.
    async fn apply(self, conn: &mut Conn<'_>, now: Timestamp) -> Result<Vec<NewChange>, Failed> {
        let mut changes = Vec::new();
        let change = |kind, node_kind, id: &str| NewChange {
            kind,
            node: Node::new(node_kind, id),
            at: now,
            until: None,
        };
        for (id, ends) in self.rotated {
            let ended = sql("UPDATE api_key SET expires_at = $2, version = version + 1
                 WHERE id = $1 AND state <> 'revoked' AND (expires_at IS NULL OR expires_at > $2)")
            .bind(id.as_str())
            .bind(ends.as_micros())
            .execute(conn)
            .await?;
            if ended > 0 {
                changes.push(change(ChangeKind::Changed, NodeKind::ApiKey, &id));
            }
        }
        for (id, (at, reason)) in self.keys {
            let ended =
                sql("UPDATE api_key SET state = 'revoked', ended_at = $2, reason = $3, version = version + 1
                 WHERE id = $1 AND state <> 'revoked'")
                .bind(id.as_str())
                .bind(at.as_micros())
                .bind(reason)
                .execute(conn)
                .await?;
            if ended > 0 {
                changes.push(change(ChangeKind::Revoked, NodeKind::ApiKey, &id));
            }
        }
        for (id, at) in self.app_passwords {
            let ended = sql("UPDATE app_password SET revoked_at = $2, version = version + 1
                 WHERE id = $1 AND revoked_at IS NULL")
            .bind(id.as_str())
            .bind(at.as_micros())
            .execute(conn)
            .await?;
            if ended > 0 {
                changes.push(change(ChangeKind::Revoked, NodeKind::AppPassword, &id));
            }
        }
        for id in self.passwords {
            let row: Option<(i64,)> = sql("DELETE FROM password WHERE principal = $1 RETURNING version")
                .bind(id.as_str())
                .optional(conn)
                .await?;
            if let Some((version,)) = row {
                changes.push(change(ChangeKind::Revoked, NodeKind::Password, &format!("{id}.{version}")));
            }
        }
        for (kid, at) in self.signing_keys {
            let ended = sql(
                "UPDATE signing_key SET state = 'removed', sealed = $3, since = $2, version = version + 1
                 WHERE kid = $1 AND state <> 'removed'",
            )
            .bind(kid.as_str())
            .bind(at.as_micros())
            .bind(Vec::new())
            .execute(conn)
            .await?;
            if ended > 0 {
                changes.push(change(ChangeKind::Revoked, NodeKind::SigningKey, &kid));
            }
        }
        for (id, at) in self.tokens {
            // the trail does not say until when; no such token lasts longer
            let until = at + ForeignIssuer::MOST_LONGEST + ForeignIssuer::MOST_LEEWAY;
            if until > now {
                let node = Node::new(NodeKind::Token, &id);
                changes.push(NewChange { kind: ChangeKind::Revoked, node, at: now, until: Some(until) });
            }
        }
        for (id, last) in self.scopes {
            let row: Option<(String,)> =
                sql("SELECT scopes FROM principal WHERE id = $1").bind(id.as_str()).optional(conn).await?;
            let Some(had) = row.and_then(|(scopes,)| ScopeSet::parse(&scopes)) else { continue };
            let left = had.intersection(&last);
            if left == had {
                continue;
            }
            sql("UPDATE principal SET scopes = $2, version = version + 1 WHERE id = $1")
                .bind(id.as_str())
                .bind(left.to_string())
                .execute(conn)
                .await?;
            changes.push(change(ChangeKind::Changed, NodeKind::Principal, &id));
        }
        for (kind, ids) in [(ChangeKind::Changed, self.disabled), (ChangeKind::Revoked, self.revoked)] {
            for id in ids.keys() {
                // another issuer's has no row (RULES 1.8): the feed alone says that it is over
                if kind == ChangeKind::Revoked
                    && PrincipalId::parse(id).is_some_and(|principal| principal.is_foreign())
                {
                    changes.push(change(kind, NodeKind::Principal, id));
                    continue;
                }
                let ended = sql("UPDATE principal SET enabled = $2, version = version + 1
                     WHERE id = $1 AND (enabled OR $3)")
                .bind(id.as_str())
                .bind(false)
                .bind(kind == ChangeKind::Revoked)
                .execute(conn)
                .await?;
                if ended > 0 {
                    changes.push(change(kind, NodeKind::Principal, id));
                }
            }
        }
        Ok(changes)
    }
}
