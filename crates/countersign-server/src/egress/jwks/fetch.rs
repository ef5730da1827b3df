//! One attempt: where the keys are, and what is there.

use crate::egress::{Egress, EgressError, Fetched};
use countersign_crypto::jose::{JwkSet, JwkSetError, LONGEST_JWK_SET};
use countersign_methods::jwt::foreign::{ForeignIssuer, KeyOrigin};
use http::StatusCode;
use serde::Deserialize;
use std::time::Duration;
use thiserror::Error;
use url::{Host, Url};

#[derive(Debug, Error)]
pub(super) enum FetchError {
    #[error(
        "{0:?} is not an `https://` URL without credentials and fragment; `http://` is for this machine alone"
    )]
    Address(String),
    #[error("`{host}`: {error}")]
    Egress { host: String, error: EgressError },
    #[error("`{0}` answers with a redirect, which is not followed; name the URL that it leads to")]
    Redirect(Url),
    #[error("`{url}` answers {status}")]
    Status { url: Url, status: StatusCode },
    #[error(
        "`{0}` is no metadata of an issuer: `issuer` and `jwks_uri` are not one string each (RFC 8414 3.2)"
    )]
    Metadata(Url),
    // RFC 8414 3.3, OpenID Connect Discovery 4.3: otherwise one issuer could speak for another
    #[error("the metadata are of the issuer {said:?}, which is not to the letter the one that is configured")]
    OtherIssuer { said: String },
    #[error("it took longer than it may")]
    TooSlow,
    #[error("{0}")]
    Keys(#[from] JwkSetError),
    #[error("the file cannot be read: {0}")]
    File(#[from] std::io::Error),
}

#[derive(Debug)]
pub(super) struct Found {
    pub(super) set: JwkSet,
    pub(super) max_age: Option<Duration>,
}

/// The members that are needed; each may stand there once.
#[derive(Debug, Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

pub(super) async fn keys(issuer: &ForeignIssuer, egress: &Egress) -> Result<Found, FetchError> {
    let url = match &issuer.keys {
        KeyOrigin::Url(url) => address(url)?,
        _ => discover(&issuer.issuer, egress).await?,
    };
    let Fetched { body, max_age, .. } = get(&url, egress).await?;
    Ok(Found { set: JwkSet::parse(&body, &issuer.algorithms)?, max_age })
}

/// OpenID Connect Discovery 4.1, and where there is nothing, RFC 8414 3.1.
async fn discover(issuer: &str, egress: &Egress) -> Result<Url, FetchError> {
    let [first, second] = well_known(issuer)?;
    let (url, found) = match get(&first, egress).await {
        Err(FetchError::Status { .. }) => (second.clone(), get(&second, egress).await?),
        found => (first, found?),
    };
    let Ok(Metadata { issuer: said, jwks_uri }) = serde_json::from_slice(&found.body) else {
        return Err(FetchError::Metadata(url));
    };
    if said != issuer {
        // escaped where it is shown, and no longer than a line
        return Err(FetchError::OtherIssuer { said: said.chars().take(200).collect() });
    }
    let url = address(&jwks_uri)?;
    // an issuer elsewhere does not say what is asked for on this machine
    if url.scheme() != "https" && !issuer.starts_with("http://") {
        return Err(FetchError::Address(jwks_uri.chars().take(200).collect()));
    }
    Ok(url)
}

/// Of `https://host/a`: `https://host/a/.well-known/openid-configuration`, and
/// `https://host/.well-known/oauth-authorization-server/a`.
fn well_known(issuer: &str) -> Result<[Url; 2], FetchError> {
    let base = address(issuer)?;
    let path = base.path().trim_end_matches('/');
    let at = |path: String| {
        let mut url = base.clone();
        url.set_path(&path);
        url
    };
    Ok([
        at(format!("{path}/.well-known/openid-configuration")),
        at(format!("/.well-known/oauth-authorization-server{path}")),
    ])
}

/// Keys that came over plain HTTP could be anybody's, also within a network that may be called.
fn address(text: &str) -> Result<Url, FetchError> {
    let refused = || FetchError::Address(text.chars().take(200).collect());
    let url = Url::parse(text).map_err(|_| refused())?;
    if !url.username().is_empty() || url.password().is_some() {
        // the text itself is a secret then
        return Err(FetchError::Address(format!("{}://..@..", url.scheme())));
    }
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(four)) => four.is_loopback(),
        Some(Host::Ipv6(six)) => six.is_loopback(),
        None => return Err(refused()),
    };
    let private = url.scheme() == "https" || url.scheme() == "http" && is_here;
    if private && url.fragment().is_none() { Ok(url) } else { Err(refused()) }
}

async fn get(url: &Url, egress: &Egress) -> Result<Fetched, FetchError> {
    let host = || url.host_str().unwrap_or_default().to_owned();
    let found = egress.get(url, LONGEST_JWK_SET).await;
    let found = found.map_err(|error| FetchError::Egress { host: host(), error })?;
    match found.status {
        StatusCode::OK => Ok(found),
        status if status.is_redirection() => Err(FetchError::Redirect(url.clone())),
        status => Err(FetchError::Status { url: url.clone(), status }),
    }
}
