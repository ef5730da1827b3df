//! Where rows go to: an empty store, in one transaction. While it runs a mark stands in the store, committed before it
//! and removed by it, so that nobody opens what a broken-off copy left behind.

use super::{CopyError, Header, Row, TableHeader, UNFINISHED, connection::Connection, tables};
use crate::sql::{
    dialect::{Conn, begin_write, script, sql, sql_of_names},
    migrate,
};
use countersign_core::Timestamp;

/// Arguments of one statement; either engine takes more.
const ARGUMENTS: usize = 2000;

pub(super) struct Loading {
    connection: Connection,
    tables: Vec<TableHeader>,
    table: usize,
    waiting: Vec<Row>,
    now: Timestamp,
}

impl Loading {
    pub(super) async fn begin(url: &str, header: &Header, now: Timestamp) -> Result<Self, CopyError> {
        let newest = migrate::newest();
        if header.schema > newest || header.schema < 1 {
            return Err(CopyError::Newer { copy: header.schema, newest });
        }
        let mut connection = Connection::to_write(url).await?;
        let mut conn = connection.conn();
        begin_write(&mut conn).await?;
        prepare(&mut conn, header, now).await?;
        sql("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value")
            .bind(UNFINISHED)
            .bind(now.as_seconds().to_string())
            .execute(&mut conn)
            .await?;
        script(&mut conn, "COMMIT").await?;

        begin_write(&mut conn).await?;
        // nobody may have come in between
        prepare(&mut conn, header, now).await?;
        let present = tables::present(&mut conn).await?;
        for (table, columns) in &present {
            let of_copy = header.tables.iter().find(|t| t.name == table.name);
            let same = of_copy.is_some_and(|of_copy| {
                of_copy.columns.len() == columns.len() && of_copy.columns.iter().all(|c| columns.contains(c))
            });
            if !same {
                return Err(CopyError::NotWhole(format!(
                    "its `{}` is not the one of schema {}",
                    table.name, header.schema
                )));
            }
            if table.seeded {
                sql_of_names(format!("DELETE FROM {}", table.name)).execute(&mut conn).await?;
            }
        }
        if let Some(unknown) = header.tables.iter().find(|t| present.iter().all(|(p, _)| p.name != t.name)) {
            return Err(CopyError::NotWhole(format!(
                "it has a table `{}`, which schema {} has not",
                unknown.name, header.schema
            )));
        }
        Ok(Self { connection, tables: header.tables.clone(), table: 0, waiting: Vec::new(), now })
    }

    pub(super) async fn row(&mut self, table: usize, row: Row) -> Result<(), CopyError> {
        self.table = table;
        let at_once = (ARGUMENTS / row.len().max(1)).max(1);
        self.waiting.push(row);
        if self.waiting.len() >= at_once { self.end_of_table().await } else { Ok(()) }
    }

    /// Writes what waits.
    pub(super) async fn end_of_table(&mut self) -> Result<(), CopyError> {
        let rows = std::mem::take(&mut self.waiting);
        let Some(table) = self.tables.get(self.table).filter(|_| !rows.is_empty()) else { return Ok(()) };
        let columns = table.columns.len();
        let places = |row: usize| {
            let places: Vec<String> =
                (1..=columns).map(|column| format!("${}", row * columns + column)).collect();
            format!("({})", places.join(", "))
        };
        let places: Vec<String> = (0..rows.len()).map(places).collect();
        let mut insert = sql_of_names(format!(
            "INSERT INTO {} ({}) VALUES {}",
            table.name,
            table.column_names(),
            places.join(", ")
        ));
        for value in rows.into_iter().flatten() {
            insert = insert.bind(value);
        }
        insert.execute(&mut self.connection.conn()).await?;
        Ok(())
    }

    /// What the database says itself, after everything was written.
    pub(super) async fn check_counts(&mut self, kept: impl Fn(&str) -> bool) -> Result<(), CopyError> {
        for table in &self.tables {
            let expected = if kept(&table.name) { table.rows } else { 0 };
            let count = sql_of_names(format!("SELECT COUNT(*) FROM {}", table.name));
            let (rows,): (i64,) = count.one(&mut self.connection.conn()).await?;
            if rows.unsigned_abs() != expected {
                return Err(CopyError::NotWhole(format!(
                    "{rows} rows of `{}` arrived, and {expected} should have",
                    table.name
                )));
            }
        }
        Ok(())
    }

    pub(super) fn conn(&mut self) -> Conn<'_> {
        self.connection.conn()
    }

    /// Brings an older schema up to this release's.
    pub(super) async fn bring_up(&mut self) -> Result<(), CopyError> {
        migrate::apply(&mut self.connection.conn(), migrate::newest(), self.now).await?;
        Ok(())
    }

    pub(super) async fn commit(mut self) -> Result<(), CopyError> {
        script(&mut self.connection.conn(), "COMMIT").await?;
        self.connection.close().await;
        Ok(())
    }
}

/// The schema of the copy, in a store that has nothing else in it.
async fn prepare(conn: &mut Conn<'_>, header: &Header, now: Timestamp) -> Result<(), CopyError> {
    let applied = migrate::applied(conn).await?;
    if applied > header.schema {
        return Err(CopyError::NotEmpty(format!(
            "it has schema {applied} already, and the copy schema {}",
            header.schema
        )));
    }
    migrate::apply(conn, header.schema, now).await?;
    for (table, _) in tables::present(conn).await? {
        let mut text = format!("SELECT COUNT(*) FROM {}", table.name);
        match (table.seeded, table.name) {
            (false, _) => {}
            (true, "meta") => text.push_str(" WHERE key NOT IN ('epoch', 'copying_since')"),
            (true, _) => continue,
        }
        let (rows,): (i64,) = sql_of_names(text).one(conn).await?;
        if rows > 0 {
            return Err(CopyError::NotEmpty(format!("`{}` has {rows} rows", table.name)));
        }
    }
    Ok(())
}
