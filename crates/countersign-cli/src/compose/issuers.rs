//! External issuers, put together: what is trusted, its keys, and what keeps these fresh.

use super::{observe::way_out, rooms::World};
use crate::{config::Settings, output::Failure};
use countersign_methods::jwt::foreign::{ForeignIssuer, ForeignIssuers, TrustedIssuer};
use countersign_server::egress::jwks::{Fetcher, IssuerKeys, KeysState};
use futures_util::future::join_all;
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// All of the configuration, and nothing fetched yet.
pub(super) struct Issuers {
    pub(super) trusted: ForeignIssuers,
    pub(super) keys: Arc<[Arc<IssuerKeys>]>,
    /// `None`: there is nobody to ask.
    fetcher: Option<Fetcher>,
}

pub(super) fn issuers(settings: &Settings, world: &World) -> Result<Issuers, Failure> {
    let keys: Arc<[_]> =
        settings.issuers.iter().map(|issuer| Arc::new(IssuerKeys::new(Arc::new(issuer.clone())))).collect();
    let trusted = keys.iter().map(|keys| TrustedIssuer { config: keys.issuer().clone(), keys: keys.clone() });
    let trusted = ForeignIssuers::new(trusted).map_err(|error| Failure::failed(error.to_string()))?;
    let fetcher = if keys.is_empty() {
        None
    } else {
        Some(Fetcher::new(way_out(&settings.egress)?, world.clock.clone(), world.entropy.clone()))
    };
    Ok(Issuers { trusted, keys, fetcher })
}

/// One attempt for each, as the task of a server would make it; in the order of the configuration.
pub(crate) async fn look(
    settings: &Settings,
    world: &World,
) -> Result<Vec<(Arc<ForeignIssuer>, KeysState)>, Failure> {
    let Issuers { keys, fetcher, .. } = issuers(settings, world)?;
    let Some(fetcher) = &fetcher else { return Ok(Vec::new()) };
    let looking = keys.iter().map(|keys| async move { (keys.issuer().clone(), keys.look(fetcher).await) });
    Ok(join_all(looking).await)
}

impl Issuers {
    /// One task each, so that one that does not answer holds up no other.
    pub(super) fn follow(self, stopping: &CancellationToken) -> Vec<JoinHandle<()>> {
        let Some(fetcher) = self.fetcher else { return Vec::new() };
        let follow = |keys: Arc<IssuerKeys>| {
            let (stopping, fetcher) = (stopping.clone(), fetcher.clone());
            tokio::spawn(async move {
                stopping.run_until_cancelled(keys.keep_fresh(fetcher)).await;
            })
        };
        self.keys.iter().cloned().map(follow).collect()
    }
}
