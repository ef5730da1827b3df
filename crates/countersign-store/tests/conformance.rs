//! What every store must do, on SQLite always and on PostgreSQL where one is named.

mod support;

use countersign_testkit::conformance::Ports;
use support::{PostgresDatabase, SqliteFile, ports};

async fn on_sqlite<F: Future<Output = ()>>(case: impl FnOnce(Ports) -> F) {
    let file = SqliteFile::new();
    let store = file.open().await;
    case(ports(&store)).await;
    store.close().await;
}

async fn on_postgres<F: Future<Output = ()>>(name: &str, case: impl FnOnce(Ports) -> F) {
    let Some(database) = PostgresDatabase::new(name).await else { return };
    let store = database.open().await;
    case(ports(&store)).await;
    store.close().await;
    database.drop().await;
}

macro_rules! on_both_engines {
    ($($area:ident: [$($case:ident),* $(,)?]),* $(,)?) => {
        mod sqlite { $( mod $area {
            use countersign_testkit::conformance::$area;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    crate::on_sqlite($area::$case).await;
                }
            )*
        } )* }
        mod postgres { $( mod $area {
            use countersign_testkit::conformance::$area;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    crate::on_postgres(concat!("conformance::postgres::", stringify!($area), "::", stringify!($case)), $area::$case).await;
                }
            )*
        } )* }
    };
}
countersign_testkit::conformance_cases!(on_both_engines);
