//! The principals: users and services.

use super::{
    Store,
    dialect::{Conn, Failed, row, sql},
    revocation::NewChange,
    unit::Purpose,
};
use countersign_core::{
    BoxFuture, Node, PrincipalId, ScopeSet, StoreError, Timestamp,
    audit::AuditEvent,
    page::{Page, PageRequest},
    principal::{Group, Principal, PrincipalKind, PrincipalName},
};
use countersign_methods::{
    operator,
    principal::store::{PrincipalChange, PrincipalQuery, PrincipalSort, PrincipalStore},
    revocation::store::ChangeKind,
};

row! { PrincipalRow {
    id: String, kind: String, name: String, scopes: String, group_names: String, enabled: bool, version: i64,
    created_at: i64,
} }

macro_rules! columns {
    () => {
        "id, kind, name, scopes, group_names, enabled, version, created_at"
    };
}
macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT ", columns!(), " FROM principal ", $rest)
    };
}

impl PrincipalRow {
    fn into_principal(self) -> Result<Principal, Failed> {
        let unreadable = |what| Failed::Unreadable(format!("{what} of principal `{}`", self.id));
        let groups = self.group_names.split(' ').filter(|word| !word.is_empty()).map(Group::parse);
        Ok(Principal {
            id: PrincipalId::parse(&self.id).ok_or_else(|| unreadable("id"))?,
            kind: PrincipalKind::parse(&self.kind).ok_or_else(|| unreadable("kind"))?,
            name: PrincipalName::parse(&self.name).ok_or_else(|| unreadable("name"))?,
            scopes: ScopeSet::parse(&self.scopes).ok_or_else(|| unreadable("scopes"))?,
            groups: groups.collect::<Option<_>>().ok_or_else(|| unreadable("groups"))?,
            enabled: self.enabled,
            version: self.version,
            created_at: Timestamp::from_micros(self.created_at),
        })
    }
}

// $n: what a list begins behind comes first, so that the rest has the same numbers in each pair
const NAMES_UP: &str = select!(
    "WHERE name > $1 AND ($3 OR kind = $4) AND ($5 OR enabled = $6) AND substr(name, 1, length($7)) = $7
     ORDER BY name LIMIT $2"
);
const NAMES_DOWN: &str = select!(
    "WHERE name < $1 AND ($3 OR kind = $4) AND ($5 OR enabled = $6) AND substr(name, 1, length($7)) = $7
     ORDER BY name DESC LIMIT $2"
);
const TIMES_UP: &str = select!(
    "WHERE (created_at, id) > ($1, $2) AND ($4 OR kind = $5) AND ($6 OR enabled = $7)
     AND substr(name, 1, length($8)) = $8 ORDER BY created_at, id LIMIT $3"
);
const TIMES_DOWN: &str = select!(
    "WHERE (created_at, id) < ($1, $2) AND ($4 OR kind = $5) AND ($6 OR enabled = $7)
     AND substr(name, 1, length($8)) = $8 ORDER BY created_at DESC, id DESC LIMIT $3"
);

/// `MICROSECONDS.ID` of the last one seen, or from before the first one.
fn parse_cursor(after: Option<&str>, descending: bool) -> Result<(i64, String), Failed> {
    let Some(after) = after else {
        return Ok(if descending { (i64::MAX, "~".into()) } else { (i64::MIN, String::new()) });
    };
    let read = || {
        let (at, id) = after.split_once('.')?;
        Some((at.parse().ok()?, PrincipalId::parse(id)?.to_string()))
    };
    read().ok_or(Failed::Conflict("cursor_invalid"))
}

/// No group holds a space.
fn words(groups: &[Group]) -> String {
    groups.iter().map(Group::as_str).collect::<Vec<_>>().join(" ")
}

pub(super) async fn by_id(conn: &mut Conn<'_>, id: &str) -> Result<Option<Principal>, Failed> {
    let row: Option<PrincipalRow> = sql(select!("WHERE id = $1")).bind(id).optional(conn).await?;
    row.map(PrincipalRow::into_principal).transpose()
}

pub(super) async fn by_name(conn: &mut Conn<'_>, name: &str) -> Result<Option<Principal>, Failed> {
    let row: Option<PrincipalRow> = sql(select!("WHERE name = $1")).bind(name).optional(conn).await?;
    row.map(PrincipalRow::into_principal).transpose()
}

pub(super) async fn insert(conn: &mut Conn<'_>, principal: &Principal) -> Result<(), Failed> {
    let made =
        sql("INSERT INTO principal (id, kind, name, scopes, group_names, enabled, version, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING")
        .bind(principal.id.as_str())
        .bind(principal.kind.as_str())
        .bind(principal.name.as_str())
        .bind(principal.scopes.to_string())
        .bind(words(&principal.groups))
        .bind(principal.enabled)
        .bind(principal.version)
        .bind(principal.created_at.as_micros())
        .execute(conn)
        .await?;
    if made == 1 { Ok(()) } else { Err(Failed::Conflict("name_taken")) }
}

/// Is it the only one that administers? The rows of all who do hold still until the transaction ends: two changes at
/// once, of two processes, that each count on the operator whom the other takes away, wait for each other here. (The
/// version that the change is guarded by keeps its own row as it was read.)
async fn is_last_operator(conn: &mut Conn<'_>, id: &PrincipalId) -> Result<bool, Failed> {
    let rows: Vec<PrincipalRow> =
        sql(select!("WHERE enabled AND scopes LIKE '%countersign:%' ORDER BY id /* update */"))
            .all(conn)
            .await?;
    let mut last = false;
    for row in rows {
        let principal = row.into_principal()?;
        if operator::administers(&principal) {
            if principal.id != *id {
                return Ok(false);
            }
            last = true;
        }
    }
    Ok(last)
}

impl PrincipalStore for Store {
    fn find<'a>(&'a self, id: &'a PrincipalId) -> BoxFuture<'a, Result<Option<Principal>, StoreError>> {
        let id = id.to_string();
        self.read(move |conn| Box::pin(async move { by_id(conn, &id).await }))
    }

    fn find_by_name<'a>(
        &'a self,
        name: &'a PrincipalName,
    ) -> BoxFuture<'a, Result<Option<Principal>, StoreError>> {
        let name = name.to_string();
        self.read(move |conn| Box::pin(async move { by_name(conn, &name).await }))
    }

    fn list<'a>(&'a self, query: PrincipalQuery) -> BoxFuture<'a, Result<Page<Principal>, StoreError>> {
        self.read(move |conn| {
            Box::pin(async move {
                let limit = query.page.limit.clamp(1, PageRequest::MAX_LIMIT);
                let name = query.name.unwrap_or_default();
                let list = match query.sort {
                    PrincipalSort::Name => {
                        // `~` stands behind every character of a name
                        let begin = if query.descending { "~" } else { "" };
                        let after = query.page.after.unwrap_or_else(|| begin.to_owned());
                        sql(if query.descending { NAMES_DOWN } else { NAMES_UP }).bind(after)
                    }
                    PrincipalSort::CreatedAt => {
                        let (at, id) = parse_cursor(query.page.after.as_deref(), query.descending)?;
                        sql(if query.descending { TIMES_DOWN } else { TIMES_UP }).bind(at).bind(id)
                    }
                };
                let list = list
                    .bind(limit + 1)
                    .bind(query.kind.is_none())
                    .bind(query.kind.map(PrincipalKind::as_str))
                    .bind(query.enabled.is_none())
                    .bind(query.enabled)
                    .bind(name);
                let rows: Vec<PrincipalRow> = list.all(conn).await?;
                super::page(rows, limit, PrincipalRow::into_principal, |last| match query.sort {
                    PrincipalSort::Name => last.name.to_string(),
                    PrincipalSort::CreatedAt => format!("{}.{}", last.created_at.as_micros(), last.id),
                })
            })
        })
    }

    fn create<'a>(
        &'a self,
        principal: Principal,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        let write = self.write(Purpose::Ordinary, move |unit| {
            Box::pin(async move {
                unit.claim(&event).await?;
                insert(&mut unit.conn, &principal).await?;
                unit.audit(event);
                Ok(())
            })
        });
        Box::pin(async move { write.await.map(|_| ()) })
    }

    fn change<'a>(
        &'a self,
        id: &'a PrincipalId,
        version: i64,
        change: PrincipalChange,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<Option<Principal>, StoreError>> {
        // disabling and narrowing must be possible on a full disk too
        let narrows = change.enabled == Some(false);
        let purpose = if narrows { Purpose::Revocation } else { Purpose::Ordinary };
        let id = id.clone();
        let write = self.write(purpose, move |unit| {
            Box::pin(async move {
                let weakens = narrows || change.scopes.as_ref().is_some_and(|s| !operator::can_administer(s));
                if weakens && is_last_operator(&mut unit.conn, &id).await? {
                    return Err(Failed::Conflict("last_operator"));
                }
                let row: Option<PrincipalRow> = sql(concat!(
                    "UPDATE principal SET scopes = COALESCE($3, scopes), group_names = COALESCE($4, group_names),
                         enabled = COALESCE($5, enabled), version = version + 1
                     WHERE id = $1 AND version = $2 RETURNING ",
                    columns!()
                ))
                .bind(id.as_str())
                .bind(version)
                .bind(change.scopes.map(|scopes| scopes.to_string()))
                .bind(change.groups.as_deref().map(words))
                .bind(change.enabled)
                .optional(&mut unit.conn)
                .await?;
                let Some(row) = row else {
                    let there: Option<(i64,)> = sql("SELECT version FROM principal WHERE id = $1")
                        .bind(id.as_str())
                        .optional(&mut unit.conn)
                        .await?;
                    return if there.is_some() { Err(Failed::Conflict("principal_changed")) } else { Ok(None) };
                };
                unit.change(NewChange {
                    kind: ChangeKind::Changed,
                    node: Node::principal(&id),
                    at: event.at,
                    until: None,
                });
                unit.audit(event);
                row.into_principal().map(Some)
            })
        });
        Box::pin(async move { write.await.map(|(principal, _)| principal) })
    }

    fn operators<'a>(&'a self) -> BoxFuture<'a, Result<Vec<Principal>, StoreError>> {
        self.read(|conn| {
            Box::pin(async move {
                // `LIKE` ignores case on SQLite; the scopes themselves decide below
                let rows: Vec<PrincipalRow> =
                    sql(select!("WHERE enabled AND scopes LIKE '%countersign:%' ORDER BY name"))
                        .all(conn)
                        .await?;
                let mut operators = Vec::with_capacity(rows.len());
                for row in rows {
                    let principal = row.into_principal()?;
                    if principal.scopes.iter().any(|scope| scope.is_operators()) {
                        operators.push(principal);
                    }
                }
                Ok(operators)
            })
        })
    }
}
