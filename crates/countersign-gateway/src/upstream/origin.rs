//! Where an upstream is, as its URL says.

use http::HeaderValue;
use std::{net::IpAddr, sync::Arc};
use thiserror::Error;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Without brackets, for the resolver.
    host: Arc<str>,
    port: u16,
    authority: HeaderValue,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OriginError {
    #[error("the url is not `http://host[:port]`")]
    Grammar,
    #[error("only http:// upstreams are supported")]
    Scheme,
    #[error("the url has a path or query; what is forwarded is exactly the target that was judged")]
    Path,
    #[error("it has no url")]
    None,
    #[error("it has the same url twice")]
    Twice,
    #[error("the path of its health check is not a path such as `/healthz`")]
    HealthPath,
    #[error("a time or limit of it is zero")]
    Zero,
}

impl Origin {
    pub fn parse(url: &str) -> Result<Self, OriginError> {
        let uri: http::Uri = url.parse().map_err(|_| OriginError::Grammar)?;
        let authority = uri.authority().ok_or(OriginError::Grammar)?;
        match uri.scheme_str() {
            Some("http") => {}
            Some(_) => return Err(OriginError::Scheme),
            None => return Err(OriginError::Grammar),
        }
        if uri.path_and_query().is_some_and(|p| p.as_str() != "/") {
            return Err(OriginError::Path);
        }
        let host = authority.host();
        // what is left of an authority besides host and port is userinfo, and a port that is no number
        let rest = authority.as_str().strip_prefix(host).ok_or(OriginError::Grammar)?;
        let port = match rest.strip_prefix(':') {
            Some(port) => port.parse().ok().filter(|p| *p != 0).ok_or(OriginError::Grammar)?,
            None if rest.is_empty() && !host.is_empty() => 80,
            None => return Err(OriginError::Grammar),
        };
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let authority = HeaderValue::try_from(authority.as_str()).map_err(|_| OriginError::Grammar)?;
        Ok(Self { host: bare.into(), port, authority })
    }

    /// For the Host field.
    pub(crate) fn authority(&self) -> &HeaderValue {
        &self.authority
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// `None`: a name, to be asked for.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}
