//! The rows of passwords and app passwords.

use super::{
    Store,
    dialect::{Conn, Failed, row, sql},
    directory,
    revocation::{NewChange, parse_nodes, write_nodes},
    unit::{Purpose, Unit},
};
use countersign_core::{
    BoxFuture, CredentialId, Node, PrincipalId, ScopeSet, StoreError, Timestamp,
    audit::AuditEvent,
    page::{Page, PageRequest},
    principal::{Principal, PrincipalName},
};
use countersign_crypto::password::PasswordHash;
use countersign_methods::basic::{
    app_password::{self, AppPasswordDigest, AppPasswordRecord, AppPasswordState},
    record::{PasswordRecord, Person, password_node},
    store::{AppPasswordQuery, AppPasswordRevoked, BasicStore, ImportedPerson, UseQuery},
    uses::BasicUse,
};

row! { PasswordRow { principal: String, hash: String, normal: i64, version: i64, set_at: i64, } }

impl PasswordRow {
    fn into_record(self) -> Result<PasswordRecord, Failed> {
        let unreadable = |what| Failed::Unreadable(format!("{what} of the password of `{}`", self.principal));
        Ok(PasswordRecord {
            principal: PrincipalId::parse(&self.principal).ok_or_else(|| unreadable("principal"))?,
            hash: PasswordHash::parse(&self.hash).map_err(|_| unreadable("hash"))?,
            normal: u16::try_from(self.normal).map_err(|_| unreadable("normal"))?,
            version: self.version,
            set_at: Timestamp::from_micros(self.set_at),
        })
    }
}

row! { AppPasswordRow {
    id: String, owner: String, service: String, pepper: i64, digest: Vec<u8>, scopes: String, parents: String,
    created_at: i64, expires_at: i64, last_used_at: Option<i64>, revoked_at: Option<i64>, version: i64,
} }

macro_rules! columns {
    () => {
        "id, owner, service, pepper, digest, scopes, parents, created_at, expires_at, last_used_at, revoked_at, version"
    };
}
macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT ", columns!(), " FROM app_password ", $rest)
    };
}

impl AppPasswordRow {
    fn into_record(self) -> Result<AppPasswordRecord, Failed> {
        let unreadable = |what| Failed::Unreadable(format!("{what} of app password `{}`", self.id));
        Ok(AppPasswordRecord {
            owner: PrincipalId::parse(&self.owner).ok_or_else(|| unreadable("owner"))?,
            digest: AppPasswordDigest {
                pepper: u32::try_from(self.pepper).map_err(|_| unreadable("pepper"))?,
                hash: self.digest.as_slice().try_into().map_err(|_| unreadable("digest"))?,
            },
            scopes: ScopeSet::parse(&self.scopes).ok_or_else(|| unreadable("scopes"))?,
            parents: parse_nodes(&self.parents).ok_or_else(|| unreadable("parents"))?,
            created_at: Timestamp::from_micros(self.created_at),
            expires_at: Timestamp::from_micros(self.expires_at),
            last_used_at: self.last_used_at.map(Timestamp::from_micros),
            state: match self.revoked_at {
                None => AppPasswordState::Active,
                Some(at) => AppPasswordState::Revoked { at: Timestamp::from_micros(at) },
            },
            version: self.version,
            id: CredentialId::new(&self.id),
            service: self.service,
        })
    }
}

row! { UseRow { principal: String, route: String, uses: i64, last_used_at: i64, } }

impl UseRow {
    fn into_use(self) -> Result<BasicUse, Failed> {
        let principal = PrincipalId::parse(&self.principal)
            .ok_or_else(|| Failed::Unreadable(format!("a use of basic by `{}`", self.principal)))?;
        Ok(BasicUse {
            principal,
            route: self.route.into(),
            uses: u64::try_from(self.uses).unwrap_or_default(),
            last_used_at: Timestamp::from_micros(self.last_used_at),
        })
    }
}

async fn password_of(conn: &mut Conn<'_>, principal: &str) -> Result<Option<PasswordRecord>, Failed> {
    let row: Option<PasswordRow> =
        sql("SELECT principal, hash, normal, version, set_at FROM password WHERE principal = $1")
            .bind(principal)
            .optional(conn)
            .await?;
    row.map(PasswordRow::into_record).transpose()
}

/// The first one of a person. The person's row holds still until it is there.
async fn first_password(conn: &mut Conn<'_>, record: &PasswordRecord) -> Result<(), Failed> {
    let made = sql("INSERT INTO password (principal, hash, normal, version, set_at)
         SELECT id, $2, $3, $4, $5 FROM principal WHERE id = $1 /* share */ ON CONFLICT DO NOTHING")
    .bind(record.principal.as_str())
    .bind(record.hash.as_str())
    .bind(i64::from(record.normal))
    .bind(record.version)
    .bind(record.set_at.as_micros())
    .execute(conn)
    .await?;
    if made == 1 {
        return Ok(());
    }
    let there: Option<(i64,)> = sql("SELECT version FROM principal WHERE id = $1")
        .bind(record.principal.as_str())
        .optional(conn)
        .await?;
    Err(Failed::Conflict(if there.is_some() { "password_changed" } else { "principal_unknown" }))
}

fn revoked(node: Node, at: Timestamp) -> NewChange {
    // for ever: what descends from it may live longer than anything that is known here
    NewChange::revoked(node, at, None)
}

async fn import(unit: &mut Unit<'_>, person: ImportedPerson) -> Result<(), Failed> {
    let ImportedPerson { principal, password, event } = person;
    if let Some((principal, event)) = principal {
        directory::insert(&mut unit.conn, &principal).await?;
        unit.audit(event);
    }
    first_password(&mut unit.conn, &password).await?;
    unit.audit(event);
    Ok(())
}

impl BasicStore for Store {
    fn find_person<'a>(
        &'a self,
        name: &'a PrincipalName,
    ) -> BoxFuture<'a, Result<Option<Person>, StoreError>> {
        let name = name.to_string();
        self.read(move |conn| {
            Box::pin(async move {
                let principal = directory::by_name(conn, &name).await?;
                // asked for nobody's too: a name that nobody has takes as long as one that somebody has
                let id = principal.as_ref().map_or("", |principal| principal.id.as_str());
                let password = password_of(conn, id).await?;
                Ok(principal.map(|principal| Person { principal, password }))
            })
        })
    }

    fn find_password<'a>(
        &'a self,
        principal: &'a PrincipalId,
    ) -> BoxFuture<'a, Result<Option<PasswordRecord>, StoreError>> {
        let principal = principal.to_string();
        self.read(move |conn| Box::pin(async move { password_of(conn, &principal).await }))
    }

    fn set_password<'a>(
        &'a self,
        record: PasswordRecord,
        replaces: Option<i64>,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        let write = self.write(Purpose::Ordinary, move |unit| {
            Box::pin(async move {
                let Some(version) = replaces else {
                    first_password(&mut unit.conn, &record).await?;
                    unit.audit(event);
                    return Ok(());
                };
                let set = sql("UPDATE password SET hash = $3, normal = $4, version = $5, set_at = $6
                     WHERE principal = $1 AND version = $2")
                .bind(record.principal.as_str())
                .bind(version)
                .bind(record.hash.as_str())
                .bind(i64::from(record.normal))
                .bind(record.version)
                .bind(record.set_at.as_micros())
                .execute(&mut unit.conn)
                .await?;
                if set != 1 {
                    return Err(Failed::Conflict("password_changed"));
                }
                unit.change(revoked(password_node(&record.principal, version), record.set_at));
                unit.audit(event);
                Ok(())
            })
        });
        Box::pin(async move { write.await.map(|_| ()) })
    }

    fn remove_password<'a>(
        &'a self,
        principal: &'a PrincipalId,
        version: Option<i64>,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        let principal = principal.clone();
        let write = self.write(Purpose::Revocation, move |unit| {
            Box::pin(async move {
                let row: Option<(i64,)> =
                    sql("DELETE FROM password WHERE principal = $1 AND ($2 OR version = $3)
                     RETURNING version")
                    .bind(principal.as_str())
                    .bind(version.is_none())
                    .bind(version)
                    .optional(&mut unit.conn)
                    .await?;
                let Some((version,)) = row else {
                    let other = password_of(&mut unit.conn, principal.as_str()).await?.is_some();
                    return if other { Err(Failed::Conflict("password_changed")) } else { Ok(false) };
                };
                unit.change(revoked(password_node(&principal, version), event.at));
                unit.audit(event);
                Ok(true)
            })
        });
        Box::pin(async move { write.await.map(|(removed, _)| removed) })
    }

    fn rehash<'a>(
        &'a self,
        principal: &'a PrincipalId,
        version: i64,
        was: PasswordHash,
        hash: PasswordHash,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        let principal = principal.to_string();
        let write = self.write(Purpose::Ordinary, move |unit| {
            Box::pin(async move {
                let kept = sql("UPDATE password SET hash = $4, normal = $5
                     WHERE principal = $1 AND version = $2 AND hash = $3")
                .bind(principal)
                .bind(version)
                .bind(was.as_str())
                .bind(hash.as_str())
                .bind(i64::from(countersign_methods::password::normal::NORMAL_VERSION))
                .execute(&mut unit.conn)
                .await?;
                if kept == 1 {
                    unit.audit(event);
                }
                Ok(())
            })
        });
        Box::pin(async move { write.await.map(|_| ()) })
    }

    fn import_people<'a>(&'a self, people: Vec<ImportedPerson>) -> BoxFuture<'a, Result<(), StoreError>> {
        let write = self.write(Purpose::Ordinary, move |unit| {
            Box::pin(async move {
                for person in people {
                    import(unit, person).await?;
                }
                Ok(())
            })
        });
        Box::pin(async move { write.await.map(|_| ()) })
    }

    fn find_app_password<'a>(
        &'a self,
        id: &'a CredentialId,
    ) -> BoxFuture<'a, Result<Option<(AppPasswordRecord, Principal)>, StoreError>> {
        let id = id.to_string();
        self.read(move |conn| {
            Box::pin(async move {
                let row: Option<AppPasswordRow> =
                    sql(select!("WHERE id = $1")).bind(id).optional(conn).await?;
                let Some(record) = row.map(AppPasswordRow::into_record).transpose()? else {
                    return Ok(None);
                };
                let owner = directory::by_id(conn, record.owner.as_str()).await?;
                // the table refers to it
                let owner = owner
                    .ok_or_else(|| Failed::Unreadable(format!("owner of app password `{}`", record.id)))?;
                Ok(Some((record, owner)))
            })
        })
    }

    fn list_app_passwords<'a>(
        &'a self,
        query: AppPasswordQuery,
    ) -> BoxFuture<'a, Result<Page<AppPasswordRecord>, StoreError>> {
        self.read(move |conn| {
            Box::pin(async move {
                let limit = query.page.limit.clamp(1, PageRequest::MAX_LIMIT);
                let (at, id) = parse_cursor(query.page.after.as_deref())?;
                // two texts, because one where the owner is optional would not use the owner's index
                let list = match &query.owner {
                    None => sql(select!(
                        "WHERE (created_at, id) > ($1, $2) AND ($3 OR (revoked_at IS NULL AND expires_at > $4))
                         ORDER BY created_at, id LIMIT $5"
                    )),
                    Some(_) => sql(select!(
                        "WHERE (created_at, id) > ($1, $2) AND ($3 OR (revoked_at IS NULL AND expires_at > $4))
                         AND owner = $6 ORDER BY created_at, id LIMIT $5"
                    )),
                };
                let mut list = list
                    .bind(at)
                    .bind(id)
                    .bind(query.usable_at.is_none())
                    .bind(query.usable_at.unwrap_or_default().as_micros())
                    .bind(limit + 1);
                if let Some(owner) = &query.owner {
                    list = list.bind(owner.as_str());
                }
                let rows: Vec<AppPasswordRow> = list.all(conn).await?;
                super::page(rows, limit, AppPasswordRow::into_record, |last| {
                    format!("{}.{}", last.created_at.as_micros(), last.id)
                })
            })
        })
    }

    fn create_app_password<'a>(
        &'a self,
        record: AppPasswordRecord,
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

    fn revoke_app_password<'a>(
        &'a self,
        id: &'a CredentialId,
        at: Timestamp,
        event: AuditEvent,
    ) -> BoxFuture<'a, Result<AppPasswordRevoked, StoreError>> {
        let id = id.clone();
        let write = self.write(Purpose::Revocation, move |unit| {
            Box::pin(async move {
                let ended = sql("UPDATE app_password SET revoked_at = $2, version = version + 1
                     WHERE id = $1 AND revoked_at IS NULL")
                .bind(id.as_str())
                .bind(at.as_micros())
                .execute(&mut unit.conn)
                .await?;
                if ended == 1 {
                    unit.change(revoked(app_password::node(&id), at));
                    unit.audit(event);
                    return Ok(AppPasswordRevoked::Now);
                }
                let there: Option<(i64,)> = sql("SELECT version FROM app_password WHERE id = $1")
                    .bind(id.as_str())
                    .optional(&mut unit.conn)
                    .await?;
                Ok(if there.is_some() { AppPasswordRevoked::Already } else { AppPasswordRevoked::Unknown })
            })
        });
        Box::pin(async move { write.await.map(|(revoked, _)| revoked) })
    }

    fn app_passwords_used<'a>(
        &'a self,
        mut uses: Vec<(CredentialId, Timestamp)>,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        uses.sort();
        self.write_noted(uses, |unit, (id, at)| {
            Box::pin(async move {
                sql("UPDATE app_password SET last_used_at = $2
                     WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)")
                .bind(id.as_str())
                .bind(at.as_micros())
                .execute(&mut unit.conn)
                .await?;
                Ok(())
            })
        })
    }

    fn used<'a>(&'a self, mut uses: Vec<BasicUse>) -> BoxFuture<'a, Result<(), StoreError>> {
        uses.sort_by(|a, b| (&a.principal, &a.route).cmp(&(&b.principal, &b.route)));
        self.write_noted(uses, |unit, BasicUse { principal, route, uses, last_used_at }| {
            Box::pin(async move {
                sql("INSERT INTO basic_use (principal, route, uses, last_used_at) VALUES ($1, $2, $3, $4)
                     ON CONFLICT (principal, route) DO UPDATE SET uses = basic_use.uses + excluded.uses,
                     last_used_at = CASE WHEN basic_use.last_used_at > excluded.last_used_at
                     THEN basic_use.last_used_at ELSE excluded.last_used_at END")
                .bind(principal.as_str())
                .bind(&*route)
                .bind(i64::try_from(uses).unwrap_or(i64::MAX))
                .bind(last_used_at.as_micros())
                .execute(&mut unit.conn)
                .await?;
                Ok(())
            })
        })
    }

    fn uses<'a>(&'a self, query: UseQuery) -> BoxFuture<'a, Result<Vec<BasicUse>, StoreError>> {
        self.read(move |conn| {
            Box::pin(async move {
                let UseQuery { principal, route, since, limit } = query;
                let rows: Vec<UseRow> = sql("SELECT principal, route, uses, last_used_at FROM basic_use
                     WHERE ($1 OR principal = $2) AND ($3 OR route = $4) AND last_used_at >= $5
                     ORDER BY last_used_at DESC, principal, route LIMIT $6")
                .bind(principal.is_none())
                .bind(principal.map(|principal| principal.to_string()))
                .bind(route.is_none())
                .bind(route)
                .bind(since.map_or(i64::MIN, Timestamp::as_micros))
                .bind(limit)
                .all(conn)
                .await?;
                rows.into_iter().map(UseRow::into_use).collect()
            })
        })
    }

    fn app_password_peppers<'a>(&'a self, now: Timestamp) -> BoxFuture<'a, Result<Vec<u32>, StoreError>> {
        self.read(move |conn| {
            Box::pin(async move {
                let rows: Vec<(i64,)> = sql("SELECT DISTINCT pepper FROM app_password
                     WHERE revoked_at IS NULL AND expires_at > $1 ORDER BY pepper")
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

/// The owner's row holds still until it is there, so that none is made for one who is being disabled.
async fn insert(conn: &mut Conn<'_>, record: &AppPasswordRecord) -> Result<(), Failed> {
    let revoked_at = match record.state {
        AppPasswordState::Active => None,
        AppPasswordState::Revoked { at } => Some(at.as_micros()),
    };
    let made = sql(concat!(
        "INSERT INTO app_password (",
        columns!(),
        ") SELECT $1, id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12
         FROM principal WHERE id = $2 AND enabled /* share */ ON CONFLICT DO NOTHING"
    ))
    .bind(record.id.as_str())
    .bind(record.owner.as_str())
    .bind(record.service.as_str())
    .bind(record.digest.pepper)
    .bind(record.digest.hash.as_slice())
    .bind(record.scopes.to_string())
    .bind(write_nodes(&record.parents))
    .bind(record.created_at.as_micros())
    .bind(record.expires_at.as_micros())
    .bind(record.last_used_at.map(Timestamp::as_micros))
    .bind(revoked_at)
    .bind(record.version)
    .execute(conn)
    .await?;
    if made == 1 {
        return Ok(());
    }
    let there: Option<(i64,)> =
        sql("SELECT version FROM app_password WHERE id = $1").bind(record.id.as_str()).optional(conn).await?;
    Err(Failed::Conflict(if there.is_some() { "app_password_exists" } else { "owner_unknown" }))
}

/// `MICROSECONDS.ID` of the last one seen, or from before the first one.
fn parse_cursor(after: Option<&str>) -> Result<(i64, String), Failed> {
    let Some(after) = after else { return Ok((i64::MIN, String::new())) };
    let read = || {
        let (at, id) = after.split_once('.')?;
        let is_id = id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric());
        Some((at.parse().ok()?, is_id.then(|| id.to_owned())?))
    };
    read().ok_or(Failed::Conflict("cursor_invalid"))
}
