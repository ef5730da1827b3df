//! The only way out for what is not a caller's request (RULES 3.7). It goes to the very address that was checked: every
//! address of a name must be one of the internet, or in a network that the configuration allows. Nothing is followed, no
//! proxy is asked. Upstreams are not reached through here.

mod address;
pub mod jwks;

use address::{is_allowed, is_of_the_internet};
use http::{HeaderMap, StatusCode, header::CACHE_CONTROL};
use ipnet::IpNet;
use reqwest::{
    Certificate, Client,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use thiserror::Error;
use url::{Host, Url};

const CONNECT: Duration = Duration::from_secs(3);
const WHOLE: Duration = Duration::from_secs(5);

#[derive(Debug, Error)]
pub enum EgressError {
    #[error(
        "`{host}` is at {address}, which is not an address of the internet; `[egress] allow` names networks that may be called"
    )]
    Forbidden { host: String, address: IpAddr },
    #[error("`{0}` is called over plain HTTP, which goes only to networks that `[egress] allow` names")]
    Plain(String),
    #[error("`{0}` names no host that can be called")]
    NoHost(Url),
    #[error("what should hold authorities holds no certificates in PEM")]
    Authorities,
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    #[error("{0}")]
    Failed(String),
}

/// What was got.
#[derive(Debug)]
pub struct Fetched {
    pub status: StatusCode,
    pub body: Vec<u8>,
    /// How long it may be kept, by its own word.
    pub max_age: Option<Duration>,
}

/// What a way out is made of.
#[derive(Debug, Default)]
pub struct EgressConfig {
    /// Networks that may be called although they are not of the internet.
    pub allow: Vec<IpNet>,
    /// Authorities beside those of the machine, in PEM.
    pub authorities: Option<Vec<u8>>,
}

/// For `https`, and for what is not encrypted and therefore stays in networks that are allowed by name.
#[derive(Debug, Clone)]
pub struct Egress {
    encrypted: Way,
    plain: Way,
}

#[derive(Debug, Clone)]
struct Way {
    rule: Rule,
    client: Client,
}

impl Egress {
    pub fn new(config: EgressConfig) -> Result<Self, EgressError> {
        let allow: Arc<[IpNet]> = config.allow.into();
        let pem = config.authorities.as_deref();
        let authorities =
            Certificate::from_pem_bundle(pem.unwrap_or_default()).map_err(|_| EgressError::Authorities)?;
        if pem.is_some() && authorities.is_empty() {
            return Err(EgressError::Authorities);
        }
        let way = |internet| {
            let rule = Rule { allow: allow.clone(), internet };
            let client = Client::builder()
                .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT)
                .timeout(WHOLE)
                .redirect(redirect::Policy::none())
                .no_proxy()
                .tls_certs_merge(authorities.clone())
                .dns_resolver(Arc::new(rule.clone()))
                .build()
                .map_err(|error| EgressError::Failed(told(&error)))?;
            Ok(Way { rule, client })
        };
        Ok(Self { encrypted: way(true)?, plain: way(false)? })
    }

    /// The status is all that is read of the answer.
    pub async fn post(
        &self,
        url: &Url,
        headers: HeaderMap,
        body: impl Into<reqwest::Body>,
    ) -> Result<StatusCode, EgressError> {
        let sent = self.client(url)?.post(url.clone()).headers(headers).body(body).send().await;
        Ok(sent.map_err(failed)?.status())
    }

    /// At most `most` bytes of it, counted as they come.
    pub async fn get(&self, url: &Url, most: usize) -> Result<Fetched, EgressError> {
        let mut answer = self.client(url)?.get(url.clone()).send().await.map_err(failed)?;
        let (status, max_age) = (answer.status(), max_age(answer.headers()));
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > most {
                return Err(EgressError::TooLong(most));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Fetched { status, body, max_age })
    }

    fn client(&self, url: &Url) -> Result<&Client, EgressError> {
        let Way { rule, client } = if url.scheme() == "https" { &self.encrypted } else { &self.plain };
        // an address in place of a name never comes to the resolver
        match url.host() {
            Some(Host::Ipv4(four)) => rule.admit(&four.to_string(), four.into())?,
            Some(Host::Ipv6(six)) => rule.admit(&six.to_string(), six.into())?,
            Some(Host::Domain(_)) => {}
            None => return Err(EgressError::NoHost(url.clone())),
        }
        Ok(client)
    }
}

/// RFC 9111 5.2.2: what may not be kept at all is kept for no time.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let said = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let mut age = None;
    for directive in said.flat_map(|value| value.split(',')).map(str::trim) {
        if directive.eq_ignore_ascii_case("no-store") || directive.eq_ignore_ascii_case("no-cache") {
            return Some(Duration::ZERO);
        }
        if let Some((name, seconds)) = directive.split_once('=')
            && name.eq_ignore_ascii_case("max-age")
        {
            age = seconds.trim_matches('"').parse().ok().map(Duration::from_secs).or(age);
        }
    }
    age
}

fn failed(error: reqwest::Error) -> EgressError {
    EgressError::Failed(told(&error))
}

/// With the causes, which is where the resolver's own words stand; without the URL, which may hold what nobody should read.
fn told(error: &reqwest::Error) -> String {
    let mut said = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        said.push(inner.to_string());
        cause = inner.source();
    }
    if said.is_empty() {
        said.push(if error.is_timeout() { "it took too long".into() } else { "it failed".into() });
    }
    said.join(": ")
}

/// Which addresses may be called. As a resolver it gives no others.
#[derive(Debug, Clone)]
struct Rule {
    allow: Arc<[IpNet]>,
    /// Also those of the internet.
    internet: bool,
}

impl Rule {
    fn admit(&self, host: &str, address: IpAddr) -> Result<(), EgressError> {
        if is_allowed(address, &self.allow) || self.internet && is_of_the_internet(address) {
            return Ok(());
        }
        let host = host.to_owned();
        Err(if self.internet { EgressError::Forbidden { host, address } } else { EgressError::Plain(host) })
    }
}

impl Resolve for Rule {
    fn resolve(&self, name: Name) -> Resolving {
        let rule = self.clone();
        Box::pin(async move {
            let name = name.as_str();
            let failed = |error| EgressError::Failed(format!("`{name}` has no address: {error}"));
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name, 0)).await.map_err(failed)?.collect();
            // all of them: a name with one good address and one bad is an attempt
            for address in &found {
                rule.admit(name, address.ip())?;
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests;
