use super::*;
use crate::{StoreOptions, local::SystemClock, sql::dialect::sql_of_names};
use std::sync::Arc;
use tokio::runtime::Handle;

/// Whoever signs in again and again leaves many that are over; in the writer nobody reads them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_over_is_not_read_in_the_writer() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/countersign.db", folder.path().display());
    let store = Store::open(&url, StoreOptions::new(Handle::current(), Arc::new(SystemClock))).await.unwrap();
    let table = [
        (OF_CREDENTIAL, 5, "session_open (principal=? AND credential=?)"),
        (OUTLASTING, 3, "session_open (principal=? AND credential=?)"),
        (OF_PRINCIPAL, 1, "session_open (principal=?)"),
        (OPEN_OF_PRINCIPAL, 5, "session_open (principal=?)"),
        (END_OF_PRINCIPAL, 4, "session_open (principal=?)"),
        (ENDED_BY_HOLDER, 2, "session_ended_by_holder (ended_at<?)"),
    ];
    for (text, arguments, index) in table {
        let read = store.read(move |conn| {
            Box::pin(async move {
                let explain = sql_of_names(format!("EXPLAIN QUERY PLAN {text}"));
                let explain = (0..arguments).fold(explain, |explain, _| explain.bind(""));
                let steps: Vec<(i64, i64, i64, String)> = explain.all(conn).await?;
                Ok(steps.into_iter().map(|(.., step)| step).collect::<Vec<_>>())
            })
        });
        let steps = read.await.unwrap();
        let reads: Vec<&String> = steps.iter().filter(|step| !step.starts_with("USE TEMP B-TREE")).collect();
        assert!(matches!(reads[..], [step] if step.contains(index)), "{text}: {steps:?}");
    }
    store.close().await;
}
