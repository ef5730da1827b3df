//! Where an upstream is, as its URL says.

use http::{HeaderValue, uri::Scheme};
use std::{net::IpAddr, sync::Arc};
use thiserror::Error;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Without brackets, for the resolver.
    host: Arc<str>,
    port: u16,
    tls: bool,
    authority: HeaderValue,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OriginError {
    #[error("the url is not `http://host[:port]` or `https://host[:port]`")]
    Grammar,
    #[error("only http:// and https:// upstreams are supported")]
    Scheme,
    #[error("`https://` without a `ca` that vouches for it")]
    NoAuthority,
    #[error("a `ca` or `server_name`, but a url without `https://`")]
    NotTls,
    #[error("the host of its url is no name that a certificate can carry")]
    ServerName,
    #[error("the url has a path or query; what is forwarded is exactly the target that was judged")]
    Path,
    #[error("it has no url")]
    None,
    #[error("it has the same url twice")]
    Twice,
    #[error("the path of its health check is not a path such as `/healthz`")]
    HealthPath,
    #[error("it lets callers switch to what is no protocol, or carries requests that nobody would judge")]
    Upgrade,
    #[error("a time or limit of it is zero")]
    Zero,
}

impl Origin {
    pub fn parse(url: &str) -> Result<Self, OriginError> {
        let uri: http::Uri = url.parse().map_err(|_| OriginError::Grammar)?;
        let authority = uri.authority().ok_or(OriginError::Grammar)?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(_) => return Err(OriginError::Scheme),
            None => return Err(OriginError::Grammar),
        };
        if uri.path_and_query().is_some_and(|p| p.as_str() != "/") {
            return Err(OriginError::Path);
        }
        let host = authority.host();
        // what is left of an authority besides host and port is userinfo, and a port that is no number
        let rest = authority.as_str().strip_prefix(host).ok_or(OriginError::Grammar)?;
        let port = match rest.strip_prefix(':') {
            Some(port) => port.parse().ok().filter(|p| *p != 0).ok_or(OriginError::Grammar)?,
            None if rest.is_empty() && !host.is_empty() => {
                if tls {
                    443
                } else {
                    80
                }
            }
            None => return Err(OriginError::Grammar),
        };
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let authority = HeaderValue::try_from(authority.as_str()).map_err(|_| OriginError::Grammar)?;
        Ok(Self { host: bare.into(), port, tls, authority })
    }

    /// For the Host field.
    pub(crate) fn authority(&self) -> &HeaderValue {
        &self.authority
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn scheme(&self) -> Scheme {
        if self.tls { Scheme::HTTPS } else { Scheme::HTTP }
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.tls
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// `None`: a name, to be asked for.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}
