//! External issuers, put together: what is trusted, its keys, and what keeps these fresh.

use super::{observe::way_out, rooms::World};
use crate::{config::Settings, output::Failure};
use countersign_methods::jwt::foreign::{ForeignIssuers, TrustedIssuer};
use countersign_server::egress::jwks::{Fetcher, IssuerKeys};
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
