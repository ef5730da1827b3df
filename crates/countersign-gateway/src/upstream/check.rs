//! Asking the addresses of an upstream how they are, before a caller's request finds out.

use super::{balance::Upstream, body::Upload, config::HealthCheck, outbound::Outbound, pool::Pool, retry};
use crate::http1::fields::Fields;
use futures_util::future::join_all;
use http::{
    HeaderValue, Method, Uri,
    header::{HOST, USER_AGENT},
    uri::PathAndQuery,
};
use std::{rc::Rc, time::Duration};
use tokio::time::{Instant, MissedTickBehavior};

/// A check that takes longer than this found an address that is not well.
const LONGEST: Duration = Duration::from_secs(5);

/// Until it is aborted. Returns at once where no checks are wanted.
pub(crate) async fn run(upstream: Rc<Upstream>) {
    let Some(check) = upstream.config().health.clone() else { return };
    let mut tick = tokio::time::interval(check.every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = upstream.resolve().await {
            tracing::warn!(upstream = %upstream.config().name, %error, "cannot check");
            continue;
        }
        join_all(upstream.pools().iter().map(|pool| judge(&upstream, pool, &check))).await;
    }
}

async fn judge(upstream: &Upstream, pool: &Rc<Pool>, check: &HealthCheck) {
    let well = tokio::time::timeout(check.every.min(LONGEST), ask(pool, check)).await == Ok(Some(true));
    let now = Instant::now();
    let was_well = pool.health().is_up();
    pool.health().checked(well, now, now + check.every);
    if pool.health().is_up() != was_well {
        let (name, address) = (&upstream.config().name, pool.address());
        tracing::warn!(upstream = %name, %address, well, "what the checks of an address say has changed");
    }
}

/// On a connection of its own: a check must also find out whether new ones are taken.
async fn ask(pool: &Rc<Pool>, check: &HealthCheck) -> Option<bool> {
    let mut lease = pool.choose().connect_quietly().await.ok()?;
    let target = check.path.parse::<Uri>().ok()?.into_parts().path_and_query;
    let target = target.unwrap_or(PathAndQuery::from_static("/"));
    let mut fields = Fields::new();
    fields.insert(&HOST, pool.authority());
    fields.insert(&USER_AGENT, &HeaderValue::from_static("countersign-check"));
    let request = Outbound { method: Method::GET, target, fields, body: Upload::empty() };
    let response = retry::send_on(lease.link()?, pool.scheme(), &mut Some(request)).await.ok()?;
    Some(response.status.is_success() || response.status.is_redirection())
}
