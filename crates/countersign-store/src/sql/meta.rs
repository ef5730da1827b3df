//! A few words about the store itself: `epoch`, and `development` where `countersign dev` made it.

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
