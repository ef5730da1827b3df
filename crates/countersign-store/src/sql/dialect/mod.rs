//! The seam: one SQL text, two engines. What differs between SQLite and PostgreSQL is here and nowhere else.

use countersign_core::{BoxFuture, StoreError};
use futures_util::TryStreamExt;
use sqlx::{
    AssertSqlSafe, FromRow, PgConnection, SqlSafeStr, SqlStr, SqliteConnection, postgres::PgRow,
    sqlite::SqliteRow,
};
use std::borrow::Cow;

/// A connection of either engine; for a write, inside a transaction that somebody else opened and will end.
#[derive(Debug)]
pub(crate) enum Conn<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

/// A row that both engines can fill: a tuple, or what [`row!`] makes.
pub(crate) trait Row:
    for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{
}
impl<T> Row for T where T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}

/// A struct whose fields are the columns of a row, by name. (Not sqlx's `derive`: it compiles SQLite a second time.)
macro_rules! row {
    ($(#[$attribute:meta])* $seen:vis $name:ident { $($field:ident: $kind:ty),* $(,)? }) => {
        $(#[$attribute])*
        #[derive(Debug, Clone)]
        $seen struct $name { $($field: $kind),* }
        impl<'r, R: sqlx::Row> sqlx::FromRow<'r, R> for $name
        where
            &'static str: sqlx::ColumnIndex<R>,
            $($kind: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>),*
        {
            fn from_row(row: &'r R) -> sqlx::Result<Self> {
                Ok(Self { $($field: row.try_get(stringify!($field))?),* })
            }
        }
    };
}
pub(crate) use row;

/// The only types that cross the seam. A NULL keeps its type, because PostgreSQL asks for it.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Int(Option<i64>),
    Bool(Option<bool>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

macro_rules! value { ($($from:ty => $variant:ident),* $(,)?) => { $(
    impl From<$from> for Value {
        fn from(value: $from) -> Self {
            Value::$variant(Some(value.into()))
        }
    }
    impl From<Option<$from>> for Value {
        fn from(value: Option<$from>) -> Self {
            Value::$variant(value.map(Into::into))
        }
    }
)* } }
value!(i64 => Int, u32 => Int, bool => Bool, String => Text, &str => Text, Vec<u8> => Bytes, &[u8] => Bytes);

/// In a text: the rows that a `SELECT` reads stay as they are until the transaction ends. PostgreSQL is told so; on
/// SQLite nobody else writes meanwhile, and it reads a comment.
const SHARE: &str = "/* share */";
/// As [`SHARE`], and nobody else gets to read them so.
const UPDATE: &str = "/* update */";

/// One statement and its arguments.
#[derive(Debug)]
pub(crate) struct Sql {
    text: Cow<'static, str>,
    arguments: Vec<Value>,
}

pub(crate) fn sql(text: &'static str) -> Sql {
    Sql { text: Cow::Borrowed(text), arguments: Vec::new() }
}

/// A statement put together from names of tables and columns that the schema itself gave, and from nothing else.
pub(crate) fn sql_of_names(text: String) -> Sql {
    Sql { text: Cow::Owned(text), arguments: Vec::new() }
}

macro_rules! bound {
    ($query:expr, $arguments:expr) => {{
        let mut query = $query;
        for argument in $arguments {
            query = match argument {
                Value::Int(value) => query.bind(value),
                Value::Bool(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
                Value::Bytes(value) => query.bind(value),
            };
        }
        query
    }};
}

macro_rules! on {
    ($self:ident, $conn:expr, $make:expr, $query:ident, $c:ident => $run:expr) => {{
        $self.check()?;
        match $conn {
            Conn::Sqlite($c) => {
                let $query = bound!($make(for_sqlite($self.text)), $self.arguments);
                $run
            }
            Conn::Postgres($c) => {
                let $query = bound!($make(for_postgres($self.text)), $self.arguments);
                $run
            }
        }
    }};
}

impl Sql {
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.arguments.push(value.into());
        self
    }

    /// How many rows it touched.
    pub(crate) async fn execute(self, conn: &mut Conn<'_>) -> sqlx::Result<u64> {
        on!(self, conn, sqlx::query, query, c => Ok(query.execute(&mut **c).await?.rows_affected()))
    }

    pub(crate) async fn optional<R: Row>(self, conn: &mut Conn<'_>) -> sqlx::Result<Option<R>> {
        on!(self, conn, sqlx::query_as::<_, R>, query, c => query.fetch_optional(&mut **c).await)
    }

    pub(crate) async fn one<R: Row>(self, conn: &mut Conn<'_>) -> sqlx::Result<R> {
        on!(self, conn, sqlx::query_as::<_, R>, query, c => query.fetch_one(&mut **c).await)
    }

    pub(crate) async fn all<R: Row>(self, conn: &mut Conn<'_>) -> sqlx::Result<Vec<R>> {
        on!(self, conn, sqlx::query_as::<_, R>, query, c => query.fetch_all(&mut **c).await)
    }

    /// What one engine forgives and the other does not is an error on both: SQLite reads a forgotten argument as
    /// NULL and keeps a NUL in a text.
    fn check(&self) -> sqlx::Result<()> {
        let (named, given) = (arguments_named(&self.text), self.arguments.len());
        if named != given {
            let text = &self.text;
            return Err(sqlx::Error::Protocol(format!("{named} arguments named, {given} given: `{text}`")));
        }
        let nul = |v: &Value| matches!(v, Value::Text(Some(text)) if text.contains('\0'));
        if self.arguments.iter().any(nul) {
            return Err(sqlx::Error::Protocol("a text holds the character NUL".into()));
        }
        Ok(())
    }
}

/// The highest `$n` of a statement, outside of its literals.
fn arguments_named(text: &str) -> usize {
    let (mut highest, mut number, mut literal) = (0, None, false);
    for byte in text.bytes() {
        number = match (byte, number) {
            (b'\'', _) => {
                literal = !literal;
                None
            }
            (b'$', _) if !literal => Some(0),
            (b'0'..=b'9', Some(n)) => Some(10 * n + usize::from(byte - b'0')),
            _ => None,
        };
        highest = highest.max(number.unwrap_or(0));
    }
    highest
}

fn for_sqlite(text: Cow<'static, str>) -> SqlStr {
    match text {
        Cow::Borrowed(text) => text.into_sql_str(),
        Cow::Owned(text) => AssertSqlSafe(text).into_sql_str(),
    }
}

fn for_postgres(text: Cow<'static, str>) -> SqlStr {
    if text.contains(SHARE) || text.contains(UPDATE) {
        let text = text.replace(SHARE, "FOR SHARE").replace(UPDATE, "FOR UPDATE");
        return AssertSqlSafe(text).into_sql_str();
    }
    for_sqlite(text)
}

/// Of a column: the types that cross the seam.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Int,
    Bool,
    Text,
    Bytes,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Int => "int",
            Kind::Bool => "bool",
            Kind::Text => "text",
            Kind::Bytes => "bytes",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Kind::Int, Kind::Bool, Kind::Text, Kind::Bytes].into_iter().find(|kind| kind.as_str() == text)
    }

    /// As either engine names the type of a column.
    fn of_engine(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "bigint" => Some(Kind::Int),
            "boolean" => Some(Kind::Bool),
            "text" => Some(Kind::Text),
            "bytea" => Some(Kind::Bytes),
            _ => None,
        }
    }
}

/// The columns of a table in their order; empty: there is no such table.
pub(crate) async fn columns(conn: &mut Conn<'_>, table: &'static str) -> Result<Vec<(String, Kind)>, Failed> {
    let text = match conn {
        Conn::Sqlite(_) => "SELECT name, type FROM pragma_table_info($1) ORDER BY cid",
        Conn::Postgres(_) => {
            "SELECT column_name::text, data_type::text FROM information_schema.columns
             WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position"
        }
    };
    let columns: Vec<(String, String)> = sql(text).bind(table).all(conn).await?;
    columns
        .into_iter()
        .map(|(name, kind)| match Kind::of_engine(&kind) {
            Some(kind) => Ok((name, kind)),
            None => Err(Failed::Unreadable(format!("`{table}.{name}` is of the type `{kind}`"))),
        })
        .collect()
}

/// Every row of a statement without arguments, one after another as they come: memory for a few, however many there are.
pub(crate) async fn each_row<E: From<sqlx::Error>>(
    conn: &mut Conn<'_>,
    text: String,
    kinds: &[Kind],
    mut each: impl AsyncFnMut(Vec<Value>) -> Result<(), E>,
) -> Result<(), E> {
    macro_rules! each_of {
        ($c:ident) => {{
            let mut rows = sqlx::query(AssertSqlSafe(text)).fetch(&mut **$c);
            while let Some(row) = rows.try_next().await? {
                each(values(&row, kinds)?).await?;
            }
        }};
    }
    match conn {
        Conn::Sqlite(c) => each_of!(c),
        Conn::Postgres(c) => each_of!(c),
    }
    Ok(())
}

fn values<'r, R>(row: &'r R, kinds: &[Kind]) -> sqlx::Result<Vec<Value>>
where
    R: sqlx::Row,
    usize: sqlx::ColumnIndex<R>,
    i64: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    bool: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    String: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    Vec<u8>: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
{
    let value = |(at, kind): (usize, &Kind)| {
        Ok(match kind {
            Kind::Int => Value::Int(row.try_get(at)?),
            Kind::Bool => Value::Bool(row.try_get(at)?),
            Kind::Text => Value::Text(row.try_get(at)?),
            Kind::Bytes => Value::Bytes(row.try_get(at)?),
        })
    };
    kinds.iter().enumerate().map(value).collect()
}

/// Begins a transaction that sees the database as it is now, until it ends, and may not write.
pub(crate) async fn begin_snapshot(conn: &mut Conn<'_>) -> sqlx::Result<()> {
    let begin = match conn {
        Conn::Sqlite(_) => "BEGIN",
        Conn::Postgres(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    };
    script(conn, begin).await?;
    // either engine takes its picture with the first read of a table
    let read = match conn {
        Conn::Sqlite(_) => "SELECT COUNT(*) FROM sqlite_master",
        Conn::Postgres(_) => "SELECT COUNT(*) FROM pg_catalog.pg_class",
    };
    sql(read).execute(conn).await.map(|_| ())
}

/// Begins a transaction that will write; on SQLite nobody else writes from here on.
pub(crate) async fn begin_write(conn: &mut Conn<'_>) -> sqlx::Result<()> {
    // IMMEDIATE is SQLite's word
    script(conn, if matches!(conn, Conn::Sqlite(_)) { "BEGIN IMMEDIATE" } else { "BEGIN" }).await
}

/// Several statements without arguments, as migrations have them.
pub(crate) async fn script(conn: &mut Conn<'_>, text: &str) -> sqlx::Result<()> {
    match conn {
        Conn::Sqlite(c) => {
            // SQLite compares as bytes unless told otherwise and knows no collation of that name
            let text = text.replace(" COLLATE \"C\"", "");
            sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut **c).await?;
        }
        Conn::Postgres(c) => {
            sqlx::raw_sql(AssertSqlSafe(text.to_owned())).execute(&mut **c).await?;
        }
    }
    Ok(())
}

/// Until the transaction ends, nobody else changes the schema. SQLite's `BEGIN IMMEDIATE` already says so.
pub(crate) async fn lock_schema(conn: &mut Conn<'_>) -> sqlx::Result<()> {
    // "countersign" cut to 63 bits; only has to be the same in every release
    const LOCK: i64 = 0x636f_756e_7465_7273;
    if matches!(conn, Conn::Postgres(_)) {
        sql("SELECT pg_advisory_xact_lock($1)::text").bind(LOCK).execute(conn).await?;
    }
    Ok(())
}

/// Does the file hold tables although none of ours told its version? A database file that is not ours is never
/// worked on: SQLite trusts what stands in a schema. A PostgreSQL database may be shared with others.
pub(crate) async fn is_foreign(conn: &mut Conn<'_>) -> sqlx::Result<bool> {
    if matches!(conn, Conn::Postgres(_)) {
        return Ok(false);
    }
    let (tables, ours): (i64, i64) = sql(
        "SELECT COUNT(*), COUNT(CASE WHEN name = 'schema_migration' THEN 1 END) FROM sqlite_master WHERE type = 'table'",
    )
    .one(conn)
    .await?;
    Ok(tables > 0 && ours == 0)
}

/// The channel that PostgreSQL's followers listen on.
pub(crate) const CHANNEL: &str = "countersign_feed";

/// Wakes the followers of other processes when this transaction commits. On SQLite they only poll.
pub(crate) async fn notify(conn: &mut Conn<'_>) -> sqlx::Result<()> {
    if matches!(conn, Conn::Postgres(_)) {
        sql("SELECT pg_notify($1, '')::text").bind(CHANNEL).execute(conn).await?;
    }
    Ok(())
}

/// Why one piece of work did not succeed.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The write lost against what is there.
    Conflict(&'static str),
    Sql(sqlx::Error),
    /// A row holds what no release of ours wrote: `api_key.scopes of ...`.
    Unreadable(String),
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Failed::Sql(error)
    }
}

impl From<Failed> for StoreError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Conflict(what) => StoreError::Conflict(what),
            Failed::Sql(error) => StoreError::Unavailable(error.to_string()),
            Failed::Unreadable(what) => StoreError::Unavailable(format!("cannot be read: {what}")),
        }
    }
}

/// A read, on whatever connection is free.
pub(crate) type Read<T> =
    Box<dyn for<'a, 'c> FnOnce(&'a mut Conn<'c>) -> BoxFuture<'a, Result<T, Failed>> + Send>;

/// What stands in the way, as far as it changes what an operator has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    Locked,
    Full,
    ReadOnly,
    Corrupt,
    Unreachable,
    Refused,
    Slow,
    Other,
}

impl Trouble {
    pub(crate) fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::WorkerCrashed => Trouble::Unreachable,
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => Trouble::Unreachable,
            sqlx::Error::Database(error) => Self::of_code(&error.code().unwrap_or_default()),
            _ => Trouble::Other,
        }
    }

    fn of_code(code: &str) -> Self {
        // PostgreSQL: five characters, the first two are the class (PostgreSQL manual, appendix A)
        if code.len() == 5 && code.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()) {
            return match (code, code.get(..2)) {
                ("53100", _) => Trouble::Full,
                ("25006", _) => Trouble::ReadOnly,
                ("55P03" | "40P01", _) => Trouble::Locked,
                ("57014", _) => Trouble::Slow,
                ("42501", _) | (_, Some("28" | "3D")) => Trouble::Refused,
                (_, Some("08" | "57" | "53")) => Trouble::Unreachable,
                (_, Some("XX")) => Trouble::Corrupt,
                _ => Trouble::Other,
            };
        }
        // SQLite: an extended result code; its low byte is the primary one (sqlite.org/rescode.html)
        let code = code.parse::<u32>().unwrap_or(0);
        match code & 0xff {
            // SQLITE_IOERR_SHMSIZE: no room for the index of the write-ahead log
            _ if code == 4874 => Trouble::Full,
            5 | 6 => Trouble::Locked,
            8 => Trouble::ReadOnly,
            10 | 14 => Trouble::Unreachable,
            11 | 26 => Trouble::Corrupt,
            13 => Trouble::Full,
            _ => Trouble::Other,
        }
    }

    /// For the log line: what to do.
    pub(crate) fn advice(self) -> &'static str {
        match self {
            Trouble::Locked => "another process holds the database: end it, writing then goes on by itself",
            Trouble::Full => "the disk is full: free space, writing then goes on by itself",
            Trouble::ReadOnly => {
                "the database is read-only: give this user the right to write, or name the primary"
            }
            Trouble::Corrupt => {
                "the database is damaged: stop, keep the files for examination, restore a backup"
            }
            Trouble::Unreachable => {
                "the database does not answer: see that its server or disk is there, work then goes on by itself"
            }
            Trouble::Refused => {
                "the server refused: see user, password, database name and rights in the store's URL"
            }
            Trouble::Slow => "the database answers too slowly: see its load and its locks",
            Trouble::Other => "see the error; if it stays, report it",
        }
    }
}

#[cfg(test)]
mod tests;
