//! Which tables there are. A migration that adds one names it here; a test asks for it.

use super::frames::Column;
use crate::sql::dialect::{Conn, Failed, columns};

/// What becomes of its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restored {
    Kept,
    /// RULES 4.6: one-time tokens, codes: what was used since the copy must not be good again. And what is of the moment,
    /// such as who does a job.
    Ended,
}

#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) restored: Restored,
    /// An empty store has rows in it.
    pub(super) seeded: bool,
}

const fn table(name: &'static str) -> Table {
    Table { name, restored: Restored::Kept, seeded: false }
}

/// In the order in which rows may come: what others refer to is first.
pub(super) const TABLES: &[Table] = &[
    Table { seeded: true, ..table("meta") },
    table("principal"),
    table("api_key"),
    table("password"),
    table("app_password"),
    table("basic_use"),
    table("signing_key"),
    // kept for the person's list; the next epoch ends those that are open
    table("session"),
    table("feed"),
    Table { seeded: true, ..table("feed_head") },
    table("audit_event"),
    table("audit_head"),
    table("idempotency"),
    Table { restored: Restored::Ended, ..table("lease") },
];

pub(super) fn is_kept(name: &str) -> bool {
    TABLES.iter().any(|table| table.name == name && table.restored == Restored::Kept)
}

/// With their columns, as they are in this database: an older schema has fewer.
pub(super) async fn present(conn: &mut Conn<'_>) -> Result<Vec<(&'static Table, Vec<Column>)>, Failed> {
    let mut present = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        let columns: Vec<Column> = columns(conn, table.name)
            .await?
            .into_iter()
            .map(|(name, kind)| Column { name, kind: kind.as_str().to_owned() })
            .collect();
        if !columns.is_empty() {
            present.push((table, columns));
        }
    }
    Ok(present)
}
