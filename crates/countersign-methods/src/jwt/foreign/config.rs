//! What an operator says of an issuer that is trusted. Already valid where [`ForeignIssuer::problems`] finds nothing.

use super::claim_path::ClaimPath;
use countersign_core::{Scope, ScopeSet, Timestamp, principal::PrincipalName};
use countersign_crypto::{SecretBytes, jose::Algorithm};
use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Duration};

/// What we call it: 1 to 64 of `a-z 0-9 _ -`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IssuerName(Arc<str>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignIssuer {
    pub name: IssuerName,
    /// As `iss` says it, to the letter: with or without a slash at its end.
    pub issuer: Arc<str>,
    pub keys: KeyOrigin,
    /// HS256 stands alone, and with a secret.
    pub algorithms: Vec<Algorithm>,
    /// Those of its audiences that are us; at least one. What is an `https` URL is held against the route's `resource`
    /// (RULES 1.5); a word that is none can be no resource, and stands for all of this gateway.
    pub audiences: Vec<Arc<str>>,
    pub typ: ExpectedTyp,
    /// For clocks that go ahead of ours: of `nbf` and `iat`. An end is an end, `exp` gets none.
    pub leeway: Duration,
    /// From `iat` to `exp`. A token that is good for longer is none that was meant for this.
    pub longest: Duration,
    /// So long after its token's end what was begun with it may go on: a download, a stream of events, a WebSocket.
    pub stream_grace: Duration,
    pub claims: ClaimNames,
    /// Its scopes are cut to these; empty: it grants none.
    pub scopes: ScopeSet,
    /// Its words, and what they are here. Empty: they are the same; otherwise a word that is not in it is nothing, lest one
    /// that happens to be called as a scope of ours passes for it.
    pub scope_map: BTreeMap<Arc<str>, Scope>,
    /// Subjects that are principals of ours (RULES 1.8). All others are of its own namespace.
    pub local: BTreeMap<Arc<str>, PrincipalName>,
}

/// Where its keys are.
#[derive(Debug, Clone)]
pub enum KeyOrigin {
    /// In its metadata (OpenID Connect Discovery 4, RFC 8414 3).
    Discovery,
    Url(String),
    File(PathBuf),
    /// Of HS256, at least 32 bytes.
    Secret(SecretBytes),
}

/// How access tokens are told from everything else that it signs (RULES 1.8, RFC 8725 3.11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpectedTyp {
    /// `at+jwt` (RFC 9068 2.1).
    AccessToken,
    /// `JWT`, or nothing, and a claim that its ID tokens never have.
    Jwt { absent_ok: bool, required_claim: ClaimPath },
}

/// Where in its tokens something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimNames {
    pub subject: ClaimPath,
    /// None: a name is made from the id. Whoever takes names from an issuer lets it call people as people of ours are called,
    /// where an upstream goes by names.
    pub name: Option<ClaimPath>,
    /// Words with spaces between them, or a list of words.
    pub scopes: ClaimPath,
    /// One word, or a list of words.
    pub groups: Option<ClaimPath>,
    /// Where it is the subject, that is a service.
    pub client: ClaimPath,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum IssuerProblem {
    #[error("`issuer` is not 1 to 2048 visible characters")]
    Issuer,
    #[error(
        "`issuer` is not an `https://` URL without query and fragment, so that nothing can be looked up there (RFC 8414 2)"
    )]
    Discovery,
    #[error("`algorithms` is empty, or names one twice")]
    Algorithms,
    #[error("HS256 goes with a secret and with nothing else: whoever knows a public key could sign with it")]
    Symmetric,
    #[error("a secret is for HS256 alone")]
    Secret,
    #[error("a secret is shorter than 32 bytes (RFC 7518 3.2)")]
    ShortSecret,
    #[error("`audiences` is empty: a token for anybody would be one for us")]
    NoAudience,
    #[error("an audience is not 1 to 2048 visible characters")]
    Audience,
    #[error(
        "`required_claim` stands in ID tokens too; name one that only access tokens have, such as `scope` or `client_id`"
    )]
    RequiredClaim,
    #[error("`leeway` is longer than a minute")]
    Leeway,
    #[error("`longest` is not from a second to seven days")]
    Longest,
    #[error("`stream_grace` is longer than a day")]
    StreamGrace,
    #[error("scopes that begin with `countersign:` come from no issuer (RULES 1.8)")]
    OperatorsScope,
    #[error("`scope_map` leads to a scope that is not in `scopes`, so that it never counts")]
    ScopeMap,
    #[error("a subject in `local` is not 1 to 255 characters without control characters")]
    Local,
}

impl IssuerName {
    pub fn parse(text: &str) -> Option<Self> {
        let word = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        ((1..=64).contains(&text.len()) && text.bytes().all(word)).then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn shared(&self) -> Arc<str> {
        self.0.clone()
    }
}

impl ForeignIssuer {
    pub const LEEWAY: Duration = Duration::from_secs(30);
    pub const MOST_LEEWAY: Duration = Duration::from_secs(60);
    pub const STREAM_GRACE: Duration = Duration::from_secs(3600);
    pub const MOST_STREAM_GRACE: Duration = Duration::from_secs(24 * 3600);
    pub const LONGEST: Duration = Duration::from_secs(24 * 3600);
    pub const MOST_LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

    /// Everything that is wrong with it.
    pub fn problems(&self) -> Vec<IssuerProblem> {
        let symmetric = self.algorithms.contains(&Algorithm::Hs256);
        let secret = match &self.keys {
            KeyOrigin::Secret(secret) => Some(secret),
            _ => None,
        };
        let twice =
            |algorithm: &Algorithm| self.algorithms.iter().filter(|other| *other == algorithm).count() > 1;
        let rows = [
            (IssuerProblem::Issuer, !is_visible(&self.issuer)),
            (IssuerProblem::Discovery, matches!(self.keys, KeyOrigin::Discovery) && !is_base(&self.issuer)),
            (IssuerProblem::Algorithms, self.algorithms.is_empty() || self.algorithms.iter().any(twice)),
            (IssuerProblem::Symmetric, symmetric && (secret.is_none() || self.algorithms.len() > 1)),
            (IssuerProblem::Secret, secret.is_some() && !symmetric),
            (IssuerProblem::ShortSecret, secret.is_some_and(|secret| secret.expose().len() < 32)),
            (IssuerProblem::NoAudience, self.audiences.is_empty()),
            (IssuerProblem::Audience, !self.audiences.iter().all(|audience| is_visible(audience))),
            (
                IssuerProblem::RequiredClaim,
                matches!(&self.typ, ExpectedTyp::Jwt { required_claim, .. } if is_of_id_tokens(required_claim)),
            ),
            (IssuerProblem::Leeway, self.leeway > Self::MOST_LEEWAY),
            (IssuerProblem::Longest, !(Duration::from_secs(1)..=Self::MOST_LONGEST).contains(&self.longest)),
            (IssuerProblem::StreamGrace, self.stream_grace > Self::MOST_STREAM_GRACE),
            (
                IssuerProblem::OperatorsScope,
                self.scopes.iter().chain(self.scope_map.values()).any(Scope::is_operators),
            ),
            (
                IssuerProblem::ScopeMap,
                self.scope_map.values().any(|scope| !scope.is_operators() && !self.scopes.contains(scope)),
            ),
            (IssuerProblem::Local, !self.local.keys().all(|subject| is_subject(subject))),
        ];
        rows.into_iter().filter(|(_, is_so)| *is_so).map(|(problem, _)| problem).collect()
    }

    /// Of what was begun with a token that ends then.
    pub fn stream_end(&self, token: Timestamp) -> Timestamp {
        token + self.stream_grace
    }
}

impl Default for ClaimNames {
    fn default() -> Self {
        Self {
            subject: ClaimPath::of("sub"),
            name: None,
            scopes: ClaimPath::of("scope"),
            groups: None,
            client: ClaimPath::of("client_id"),
        }
    }
}

impl PartialEq for KeyOrigin {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Discovery, Self::Discovery) => true,
            (Self::Url(one), Self::Url(other)) => one == other,
            (Self::File(one), Self::File(other)) => one == other,
            (Self::Secret(one), Self::Secret(other)) => {
                countersign_crypto::constant_time::equal(one.expose(), other.expose())
            }
            _ => false,
        }
    }
}

impl Eq for KeyOrigin {}

impl fmt::Display for IssuerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for IssuerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a subject may be: it is hashed, compared and never shown without being escaped.
pub(super) fn is_subject(text: &str) -> bool {
    (1..=255).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn is_visible(text: &str) -> bool {
    (1..=2048).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// RFC 8414 2: `https`, no query, no fragment. One on this machine may do without TLS, and is called only where `[egress]`
/// allows it.
fn is_base(issuer: &str) -> bool {
    let encrypted = issuer.strip_prefix("https://").is_some_and(|rest| !rest.is_empty());
    let here = issuer.strip_prefix("http://").is_some_and(|rest| {
        let host = rest.split('/').next().unwrap_or_default();
        ["localhost", "127.0.0.1", "[::1]"].iter().any(|loopback| {
            host.strip_prefix(loopback).is_some_and(|port| port.is_empty() || port.starts_with(':'))
        })
    });
    (encrypted || here) && !issuer.contains(['?', '#'])
}

/// OpenID Connect Core 2, 3.1.3.6, 3.3.2.11, 5.1; Back-Channel Logout 2.4.
fn is_of_id_tokens(path: &ClaimPath) -> bool {
    const CLAIMS: [&str; 21] = [
        "iss",
        "sub",
        "aud",
        "exp",
        "iat",
        "nbf",
        "jti",
        "auth_time",
        "nonce",
        "acr",
        "amr",
        "azp",
        "at_hash",
        "c_hash",
        "s_hash",
        "sid",
        "name",
        "email",
        "email_verified",
        "preferred_username",
        "events",
    ];
    CLAIMS.iter().any(|claim| path.first() == *claim)
}
