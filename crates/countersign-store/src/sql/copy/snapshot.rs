//! Where rows come from: one transaction that sees everything as it was at one moment.

use super::{CopyError, Header, Row, TableHeader, connection::Connection, is_unfinished, tables};
use crate::sql::{
    audit,
    dialect::{Conn, Failed, Kind, begin_snapshot, each_row, script, sql, sql_of_names},
    migrate,
};
use countersign_core::{StoreError, Timestamp};

pub(super) struct Snapshot {
    connection: Connection,
    header: Header,
}

impl Snapshot {
    pub(super) async fn open(url: &str, now: Timestamp) -> Result<Self, CopyError> {
        let mut connection = Connection::to_read(url).await?;
        let mut conn = connection.conn();
        begin_snapshot(&mut conn).await?;
        let engine = match conn {
            Conn::Sqlite(_) => "sqlite",
            Conn::Postgres(_) => "postgres",
        };
        let present = tables::present(&mut conn).await?;
        if present.is_empty() {
            return Err(unusable("there is no store of Countersign"));
        }
        let (schema,): (i64,) =
            sql("SELECT COALESCE(MAX(number), 0) FROM schema_migration").one(&mut conn).await?;
        // tables that a newer release added would be left out without a word
        if schema > migrate::newest() {
            return Err(CopyError::Newer { copy: schema, newest: migrate::newest() });
        }
        if is_unfinished(&mut conn).await? {
            return Err(unusable("a copy was being brought into it and did not get to its end"));
        }
        let mut tables = Vec::with_capacity(present.len());
        for (table, columns) in present {
            let (rows,): (i64,) =
                sql_of_names(format!("SELECT COUNT(*) FROM {}", table.name)).one(&mut conn).await?;
            tables.push(TableHeader { name: table.name.to_owned(), columns, rows: rows.unsigned_abs() });
        }
        let meta: Vec<(String, String)> = sql("SELECT key, value FROM meta").all(&mut conn).await?;
        let meta = |key: &str| meta.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
        let (feed,): (i64,) = sql("SELECT position FROM feed_head WHERE id = 1").one(&mut conn).await?;
        let (audit, audit_hash) = audit::head(&mut conn).await?;
        let header = Header {
            made_at: now.as_micros(),
            engine: engine.to_owned(),
            schema,
            epoch: meta("epoch").and_then(|epoch| epoch.parse().ok()).unwrap_or(1),
            store: meta("store_id"),
            feed,
            audit,
            audit_hash: audit_hash.to_vec(),
            tables,
        };
        Ok(Self { connection, header })
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    /// How many there were.
    pub(super) async fn each(
        &mut self,
        table: &TableHeader,
        mut each: impl AsyncFnMut(Row) -> Result<(), CopyError>,
    ) -> Result<u64, CopyError> {
        let kinds: Vec<Kind> = table.kinds()?;
        // in an order of its own, so that two copies of the same rows are the same; every first column is a primary key
        let text = format!("SELECT {} FROM {} ORDER BY 1", table.column_names(), table.name);
        let mut rows = 0;
        let counting = async |row| {
            rows += 1;
            each(row).await
        };
        each_row(&mut self.connection.conn(), text, &kinds, counting).await?;
        Ok(rows)
    }

    pub(super) async fn close(mut self) {
        script(&mut self.connection.conn(), "COMMIT").await.ok();
        self.connection.close().await;
    }
}

fn unusable(why: &str) -> CopyError {
    CopyError::Store(StoreError::from(Failed::Unreadable(why.into())))
}
