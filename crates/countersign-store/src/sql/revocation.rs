//! The feed: written inside the writes that change something, numbered from one locked row so that positions become
//! visible in order (RULES 2.5), and read by every process's follower.

use super::{
    Store,
    dialect::{Conn, Failed, row, sql},
    unit::Purpose,
};
use countersign_core::{
    BoxFuture, Node, NodeKind, StoreError, Timestamp, audit::AuditEvent, check::revocation::Position,
};
use countersign_methods::revocation::store::{Change, ChangeKind, FeedStore};

/// A change that has no position yet.
#[derive(Debug)]
pub(crate) struct NewChange {
    pub(crate) kind: ChangeKind,
    pub(crate) node: Node,
    pub(crate) at: Timestamp,
    pub(crate) until: Option<Timestamp>,
}

const CHANGED: &str = "changed";
const REVOKED: &str = "revoked";

pub(super) async fn append(conn: &mut Conn<'_>, changes: Vec<NewChange>) -> Result<Vec<Change>, Failed> {
    let count = i64::try_from(changes.len()).unwrap_or(i64::MAX);
    if count == 0 {
        return Ok(Vec::new());
    }
    let (last,): (i64,) =
        sql("UPDATE feed_head SET position = position + $1 WHERE id = 1 RETURNING position")
            .bind(count)
            .one(conn)
            .await?;
    let mut numbered = Vec::with_capacity(changes.len());
    for (position, change) in (last - count + 1..).zip(changes) {
        let NewChange { kind, node, at, until } = change;
        let word = match kind {
            ChangeKind::Changed => CHANGED,
            ChangeKind::Revoked => REVOKED,
        };
        sql("INSERT INTO feed (position, kind, node_kind, node_id, at, until_at) VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(position)
            .bind(word)
            .bind(node.kind.as_str())
            .bind(&*node.id)
            .bind(at.as_micros())
            .bind(until.map(Timestamp::as_micros))
            .execute(conn)
            .await?;
        numbered.push(Change { position: Position(position), kind, node, at, until });
    }
    Ok(numbered)
}

row! { ChangeRow {
    position: i64, kind: String, node_kind: String, node_id: String, at: i64, until_at: Option<i64>,
} }

impl ChangeRow {
    fn into_change(self) -> Result<Change, Failed> {
        let position = self.position;
        let unreadable = |what| Failed::Unreadable(format!("{what} of change {position} in the feed"));
        let kind = match self.kind.as_str() {
            CHANGED => ChangeKind::Changed,
            REVOKED => ChangeKind::Revoked,
            _ => return Err(unreadable("kind")),
        };
        let node_kind = NodeKind::parse(&self.node_kind).ok_or_else(|| unreadable("node"))?;
        Ok(Change {
            position: Position(position),
            kind,
            node: Node::new(node_kind, &self.node_id),
            at: Timestamp::from_micros(self.at),
            until: self.until_at.map(Timestamp::from_micros),
        })
    }
}

async fn head(conn: &mut Conn<'_>) -> Result<Position, Failed> {
    let (position,): (i64,) = sql("SELECT position FROM feed_head WHERE id = 1").one(conn).await?;
    Ok(Position(position))
}

impl Store {
    /// The feed's head, and of which epoch it is: after a restore the feed is another one (RULES 4.6).
    pub(super) async fn head_of_epoch(&self) -> Result<(String, Position), StoreError> {
        self.read(|conn| {
            Box::pin(async move {
                let (epoch, position): (String, i64) = sql("SELECT meta.value, feed_head.position
                     FROM feed_head, meta WHERE feed_head.id = 1 AND meta.key = 'epoch'")
                .one(conn)
                .await?;
                Ok((epoch, Position(position)))
            })
        })
        .await
    }

    /// Removes changes that revoke nothing, and revocations that count no more, once they are older than `before`.
    /// Whoever had not read that far finds a gap and reads everything anew. Explains nothing and so carries no event.
    pub async fn prune_feed(&self, before: Timestamp) -> Result<u64, StoreError> {
        let write = self.write(Purpose::Ordinary, move |unit| {
            Box::pin(async move {
                let removed = sql("DELETE FROM feed WHERE at < $1 AND (kind = 'changed' OR until_at < $1)")
                    .bind(before.as_micros())
                    .execute(&mut unit.conn)
                    .await?;
                Ok(removed)
            })
        });
        write.await.map(|(removed, _)| removed)
    }
}

/// A JSON array of `kind:id`.
pub(super) fn parse_nodes(text: &str) -> Option<Vec<Node>> {
    let words: Vec<String> = serde_json::from_str(text).ok()?;
    let node = |word: &String| {
        let (kind, id) = word.split_once(':')?;
        Some(Node::new(NodeKind::parse(kind)?, id))
    };
    words.iter().map(node).collect()
}

pub(super) fn write_nodes(nodes: &[Node]) -> String {
    serde_json::Value::from(nodes.iter().map(Node::to_string).collect::<Vec<_>>()).to_string()
}

impl FeedStore for Store {
    fn head<'a>(&'a self) -> BoxFuture<'a, Result<Position, StoreError>> {
        self.read(|conn| Box::pin(head(conn)))
    }

    fn since<'a>(&'a self, position: Position, limit: u32) -> BoxFuture<'a, Result<Vec<Change>, StoreError>> {
        self.read(move |conn| {
            Box::pin(async move {
                let rows: Vec<ChangeRow> =
                    sql("SELECT position, kind, node_kind, node_id, at, until_at FROM feed
                     WHERE position > $1 ORDER BY position LIMIT $2")
                    .bind(position.0)
                    .bind(limit)
                    .all(conn)
                    .await?;
                rows.into_iter().map(ChangeRow::into_change).collect()
            })
        })
    }

    fn revoked<'a>(
        &'a self,
        now: Timestamp,
        position: Position,
        head: Position,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<Change>, StoreError>> {
        self.read(move |conn| {
            Box::pin(async move {
                let rows: Vec<ChangeRow> =
                    sql("SELECT position, kind, node_kind, node_id, at, until_at FROM feed
                     WHERE kind = 'revoked' AND position > $1 AND position <= $2
                     AND (until_at IS NULL OR until_at > $3)
                     ORDER BY position LIMIT $4")
                    .bind(position.0)
                    .bind(head.0)
                    .bind(now.as_micros())
                    .bind(limit)
                    .all(conn)
                    .await?;
                rows.into_iter().map(ChangeRow::into_change).collect()
            })
        })
    }

    fn revoke<'a>(
        &'a self,
        node: Node,
        at: Timestamp,
        until: Option<Timestamp>,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<Position, StoreError>> {
        let write = self.write(Purpose::Revocation, move |unit| {
            Box::pin(async move {
                unit.change(NewChange { kind: ChangeKind::Revoked, node, at, until });
                unit.audit(event);
                Ok(())
            })
        });
        Box::pin(async move {
            let ((), changes) = write.await?;
            let numbered = changes.first().map(|change| change.position);
            numbered.ok_or_else(|| StoreError::Unavailable("the revocation was not numbered".into()))
        })
    }
}
