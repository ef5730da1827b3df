//! The rows of our own signing keys.

use super::{
    Store,
    dialect::{Conn, Failed, row, sql},
    revocation::NewChange,
    unit::Purpose,
};
use countersign_core::{BoxFuture, StoreError, Timestamp};
use countersign_crypto::jose::Algorithm;
use countersign_methods::signing::{
    record::{KeyPurpose, SigningKeyRecord, SigningKeyState},
    store::{SigningKeyChange, SigningKeyStore},
};

row! { SigningKeyRow {
    kid: String, purpose: String, algorithm: String, sealed: Vec<u8>, state: String, since: i64, created_at: i64,
    version: i64,
} }

impl SigningKeyRow {
    fn into_record(self) -> Result<SigningKeyRecord, Failed> {
        let unreadable = |what| Failed::Unreadable(format!("{what} of signing key `{}`", self.kid));
        Ok(SigningKeyRecord {
            purpose: KeyPurpose::parse(&self.purpose).ok_or_else(|| unreadable("purpose"))?,
            algorithm: Algorithm::named(&self.algorithm).ok_or_else(|| unreadable("algorithm"))?,
            state: SigningKeyState::parse(&self.state).ok_or_else(|| unreadable("state"))?,
            sealed: self.sealed,
            since: Timestamp::from_micros(self.since),
            created_at: Timestamp::from_micros(self.created_at),
            version: self.version,
            kid: self.kid.into(),
        })
    }
}

const CHANGED: Failed = Failed::Conflict("signing_key_changed");

/// The rows of all keys hold still until the transaction ends: two changes at once that each make another key the
/// active one wait for each other here, and the second finds the first one's.
async fn hold(conn: &mut Conn<'_>) -> Result<(), Failed> {
    let _: Vec<(String,)> = sql("SELECT kid FROM signing_key ORDER BY kid /* update */").all(conn).await?;
    Ok(())
}

/// Guarded by the version before. What a key is for, and with what, never changes.
async fn update(conn: &mut Conn<'_>, record: &SigningKeyRecord) -> Result<(), Failed> {
    // that another one is active stands here too: on the index it would be an error, and the transaction's end
    let updated = sql("UPDATE signing_key SET sealed = $5, state = $6, since = $7, version = $8
         WHERE kid = $1 AND version = $2 AND purpose = $3 AND algorithm = $4
         AND ($6 <> 'active' OR NOT EXISTS (SELECT 1 FROM signing_key AS other
             WHERE other.purpose = $3 AND other.algorithm = $4 AND other.state = 'active' AND other.kid <> $1))")
    .bind(&*record.kid)
    .bind(record.version.saturating_sub(1))
    .bind(record.purpose.as_str())
    .bind(record.algorithm.name())
    .bind(record.sealed.as_slice())
    .bind(record.state.as_str())
    .bind(record.since.as_micros())
    .bind(record.version)
    .execute(conn)
    .await?;
    if updated == 1 { Ok(()) } else { Err(CHANGED) }
}

async fn insert(conn: &mut Conn<'_>, record: &SigningKeyRecord) -> Result<(), Failed> {
    let made =
        sql("INSERT INTO signing_key (kid, purpose, algorithm, sealed, state, since, created_at, version)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING")
        .bind(&*record.kid)
        .bind(record.purpose.as_str())
        .bind(record.algorithm.name())
        .bind(record.sealed.as_slice())
        .bind(record.state.as_str())
        .bind(record.since.as_micros())
        .bind(record.created_at.as_micros())
        .bind(record.version)
        .execute(conn)
        .await?;
    if made == 1 { Ok(()) } else { Err(CHANGED) }
}

impl SigningKeyStore for Store {
    fn list<'a>(&'a self) -> BoxFuture<'a, Result<Vec<SigningKeyRecord>, StoreError>> {
        self.read(|conn| {
            Box::pin(async move {
                let rows: Vec<SigningKeyRow> =
                    sql("SELECT kid, purpose, algorithm, sealed, state, since, created_at, version
                     FROM signing_key ORDER BY created_at, kid")
                    .all(conn)
                    .await?;
                rows.into_iter().map(SigningKeyRow::into_record).collect()
            })
        })
    }

    fn change<'a>(
        &'a self,
        change: SigningKeyChange,
        at: Timestamp,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        // what somebody must not believe any more is ended on a full disk too
        let purpose = if change.revoked.is_empty() { Purpose::Ordinary } else { Purpose::Revocation };
        let write = self.write(purpose, move |unit| {
            Box::pin(async move {
                let SigningKeyChange { updates, inserts, revoked, events } = change;
                hold(&mut unit.conn).await?;
                for record in &updates {
                    update(&mut unit.conn, record).await?;
                }
                for record in &inserts {
                    insert(&mut unit.conn, record).await?;
                }
                for (node, until) in revoked {
                    unit.change(NewChange::revoked(node, at, Some(until)));
                }
                for event in events {
                    unit.audit(event);
                }
                Ok(())
            })
        });
        Box::pin(async move { write.await.map(|_| ()) })
    }
}
