//! A few words about the store itself: `epoch`, `store_id`, and `development` where `countersign dev` made it.

use super::{Store, dialect::sql, unit::Purpose};
use countersign_core::StoreError;

impl Store {
    pub async fn meta(&self, key: &str) -> Result<Option<String>, StoreError> {
        let key = key.to_owned();
        self.read(move |conn| {
            Box::pin(async move {
                let value: Option<(String,)> =
                    sql("SELECT value FROM meta WHERE key = $1").bind(key).optional(conn).await?;
                Ok(value.map(|(value,)| value))
            })
        })
        .await
    }

    /// The value that stays: this one, where there was none yet.
    pub async fn settle_meta(&self, key: &str, value: &str) -> Result<String, StoreError> {
        if let Some(known) = self.meta(key).await? {
            return Ok(known);
        }
        let (key, value) = (key.to_owned(), value.to_owned());
        let write = self.write(Purpose::Ordinary, move |unit| {
            Box::pin(async move {
                sql("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING")
                    .bind(key.as_str())
                    .bind(value)
                    .execute(&mut unit.conn)
                    .await?;
                let (value,): (String,) =
                    sql("SELECT value FROM meta WHERE key = $1").bind(key).one(&mut unit.conn).await?;
                Ok(value)
            })
        });
        write.await.map(|(value, _)| value)
    }

    pub async fn set_meta(&self, key: &str, value: &str) -> Result<(), StoreError> {
        let (key, value) = (key.to_owned(), value.to_owned());
        let write = self.write(Purpose::Ordinary, move |unit| {
            Box::pin(async move {
                sql("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value")
                    .bind(key)
                    .bind(value)
                    .execute(&mut unit.conn)
                    .await?;
                Ok(())
            })
        });
        write.await.map(|_| ())
    }
}
