//! Pure: a token as an operator looks at it who asks why it is not good. Judges nothing: the authenticator does, as it does at
//! the gateway, and where it stopped is where the list fails. What stands before that was passed; what stands behind it nobody
//! looked at, and the list only repeats what the token's text says of it.

use super::{
    foreign::{self, ForeignIssuer},
    record::TYP,
    verify::Failure,
};
use crate::signing::record::{KeyPurpose, SigningKeyRecord, SigningKeyState};
use countersign_core::{Authentication, Lineage, Node, NodeKind, Timestamp};
use countersign_crypto::jose::{JwsError, Outline, Part};
use foreign::Claim;
use serde_json::{Map, Value};
use std::{sync::Arc, time::Duration};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Header,
    Algorithm,
    Payload,
    Key,
    Signature,
    Type,
    Confirmation,
    Claims,
    Issuer,
    Dates,
    Expiry,
    NotBefore,
    IssuedAt,
    /// Of an issuer that is trusted: those that its entry lists.
    Listed,
    Audience,
    Lifetime,
    /// OpenID Connect Core: an ID token is no access token.
    AccessToken,
    Local,
}

impl Step {
    /// The order in which one of ours is judged ([`super::issue`], [`super::verify`]).
    pub const OURS: [Step; 11] = [
        Step::Header,
        Step::Algorithm,
        Step::Payload,
        Step::Key,
        Step::Signature,
        Step::Type,
        Step::Confirmation,
        Step::Claims,
        Step::Issuer,
        Step::Expiry,
        Step::IssuedAt,
    ];
    /// That of an issuer that is trusted ([`super::foreign::verify`]).
    pub const FOREIGN: [Step; 18] = [
        Step::Header,
        Step::Algorithm,
        Step::Payload,
        Step::Issuer,
        Step::Type,
        Step::Listed,
        Step::Key,
        Step::Signature,
        Step::Audience,
        Step::Dates,
        Step::Expiry,
        Step::NotBefore,
        Step::IssuedAt,
        Step::Lifetime,
        Step::AccessToken,
        Step::Confirmation,
        Step::Claims,
        Step::Local,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Step::Header => "header",
            Step::Algorithm => "alg",
            Step::Payload => "payload",
            Step::Key => "kid",
            Step::Signature => "signature",
            Step::Type => "typ",
            Step::Confirmation => "cnf",
            Step::Claims => "claims",
            Step::Issuer => "iss",
            Step::Dates => "dates",
            Step::Expiry => "exp",
            Step::NotBefore => "nbf",
            Step::IssuedAt => "iat",
            Step::Listed => "algorithms",
            Step::Audience => "audiences",
            Step::Lifetime => "longest",
            Step::AccessToken => "access_token",
            Step::Local => "local",
        }
    }

    /// Which of them a failure is the failure of.
    pub fn of(failure: Failure) -> Self {
        match failure {
            Failure::Jws(error) => Self::of_jws(error),
            // the last two are never said of a signed token
            Failure::UnknownKey | Failure::Over | Failure::Store => Step::Key,
            Failure::Typ => Step::Type,
            Failure::Confirmation => Step::Confirmation,
            Failure::Claim(_) => Step::Claims,
            Failure::Issuer => Step::Issuer,
            Failure::Expired => Step::Expiry,
            Failure::NotYet => Step::IssuedAt,
            Failure::NoPrincipal => Step::Local,
            Failure::Foreign(failure) => Self::of_foreign(failure),
        }
    }

    fn of_jws(error: JwsError) -> Self {
        match error {
            JwsError::Header("alg") | JwsError::UnknownAlgorithm => Step::Algorithm,
            JwsError::Base64(part) | JwsError::Json(part, _) if part != Part::Header => Step::Payload,
            JwsError::OtherAlgorithm | JwsError::Signature => Step::Signature,
            JwsError::TooLong
            | JwsError::NotCompact
            | JwsError::Base64(_)
            | JwsError::Json(..)
            | JwsError::Header(_)
            | JwsError::Extension
            | JwsError::Nested => Step::Header,
        }
    }

    fn of_foreign(failure: foreign::Failure) -> Self {
        use foreign::Failure;
        match failure {
            Failure::Form(error) => Self::of_jws(error),
            Failure::UnknownIssuer | Failure::OtherIssuer => Step::Issuer,
            Failure::Typ => Step::Type,
            Failure::Algorithm => Step::Listed,
            Failure::NoKeys | Failure::UnknownKey | Failure::UnnamedKey | Failure::OtherAlgorithm => {
                Step::Key
            }
            Failure::Signature => Step::Signature,
            Failure::OtherAudience | Failure::Claim(Claim::Aud) => Step::Audience,
            Failure::Claim(Claim::Exp | Claim::Nbf | Claim::Iat | Claim::AuthTime) => Step::Dates,
            Failure::Claim(Claim::Jti | Claim::Subject | Claim::Scopes) => Step::Claims,
            Failure::Expired => Step::Expiry,
            Failure::NotYet => Step::NotBefore,
            Failure::FromTheFuture => Step::IssuedAt,
            Failure::TooLong => Step::Lifetime,
            Failure::IdToken => Step::AccessToken,
            Failure::Bound => Step::Confirmation,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    Failed,
    /// Something before it failed.
    NotReached,
}

impl Outcome {
    pub const ALL: [Outcome; 3] = [Outcome::Passed, Outcome::Failed, Outcome::NotReached];

    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Passed => "passed",
            Outcome::Failed => "failed",
            Outcome::NotReached => "not_reached",
        }
    }
}

/// One line of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub name: &'static str,
    /// Of several alike: which.
    pub of: Option<String>,
    pub outcome: Outcome,
    pub reason: String,
    /// What to do about it; of what failed only.
    pub fix: Option<&'static str>,
}

impl Check {
    pub fn passed(name: &'static str, reason: impl Into<String>) -> Self {
        Self { name, of: None, outcome: Outcome::Passed, reason: reason.into(), fix: None }
    }

    pub fn failed(name: &'static str, reason: impl Into<String>, fix: &'static str) -> Self {
        Self { name, of: None, outcome: Outcome::Failed, reason: reason.into(), fix: Some(fix) }
    }

    pub fn not_reached(name: &'static str, reason: impl Into<String>) -> Self {
        Self { name, of: None, outcome: Outcome::NotReached, reason: reason.into(), fix: None }
    }

    #[must_use]
    pub fn of(self, which: impl Into<String>) -> Self {
        Self { of: Some(which.into()), ..self }
    }
}

/// Who judges a token, by what it names (RULES 1.4).
#[derive(Debug, Clone)]
pub enum Judge {
    /// It names a key of ours, or nobody whom anything is known of. Our own `iss`; `None`: nothing is signed here.
    Ours(Option<Arc<str>>),
    Issuer(Arc<ForeignIssuer>),
}

/// What a token says, and how far it came.
#[derive(Debug)]
pub struct Inspection {
    /// As it stands there. Believed only where the check of the signature passed.
    pub outline: Outline,
    /// The authenticator's own.
    pub verdict: Result<Authentication, Failure>,
    pub checks: Vec<Check>,
}

impl Inspection {
    /// `key`: what is kept under the `kid` that it names, also of a key that is removed.
    pub fn of(
        token: &str,
        verdict: Result<Authentication, Failure>,
        judge: &Judge,
        key: Option<&SigningKeyRecord>,
        now: Timestamp,
    ) -> Self {
        let outline = Outline::of(token);
        let text = Text { outline: &outline, key, judge, now };
        let checks = checks(verdict.as_ref().err().copied(), &text);
        Self { outline, verdict, checks }
    }

    /// Did the key that it names sign what it says?
    pub fn is_verified(&self) -> bool {
        self.checks.iter().any(|c| c.name == Step::Signature.as_str() && c.outcome == Outcome::Passed)
    }
}

/// `kid` of a token's header as it stands there: to look a key up by.
pub fn kid_of(token: &str) -> Option<String> {
    Some(Outline::of(token).header?.get("kid")?.as_str()?.to_owned())
}

fn checks(failure: Option<Failure>, text: &Text<'_>) -> Vec<Check> {
    let order: &[Step] = match text.judge {
        Judge::Ours(_) => &Step::OURS,
        Judge::Issuer(_) => &Step::FOREIGN,
    };
    let Some(failure) = failure else {
        return order.iter().map(|step| Check::passed(step.as_str(), text.passed(*step))).collect();
    };
    let at = Step::of(failure);
    // who signs nothing looks no further than the key
    let last = if failure == Failure::Issuer && text.own().is_none() { Step::Key } else { at };
    let place = |step: Step| order.iter().position(|one| *one == step).unwrap_or_default();
    let one = |step: &Step| match *step {
        step if step == at => Check::failed(step.as_str(), text.why(failure), fix(failure, text)),
        step if place(step) < place(last) || (last != at && step == last) => {
            Check::passed(step.as_str(), text.passed(step))
        }
        step => Check::not_reached(step.as_str(), text.unjudged(step, at)),
    };
    order.iter().map(one).collect()
}

/// What the lines are written from. None of it decides anything.
struct Text<'t> {
    outline: &'t Outline,
    key: Option<&'t SigningKeyRecord>,
    judge: &'t Judge,
    now: Timestamp,
}

impl Text<'_> {
    fn own(&self) -> Option<&str> {
        match self.judge {
            Judge::Ours(issuer) => issuer.as_deref(),
            Judge::Issuer(_) => None,
        }
    }

    /// As our configuration calls whoever signed it.
    fn entry(&self) -> String {
        match self.judge {
            Judge::Ours(_) => "ours".into(),
            Judge::Issuer(issuer) => quoted(&issuer.name.to_string()),
        }
    }

    fn passed(&self, step: Step) -> String {
        let foreign = matches!(self.judge, Judge::Issuer(_));
        match step {
            Step::Header => "three parts; the header is one JSON object and asks for no extension".into(),
            Step::Algorithm => format!("{} is believed here", self.header("alg")),
            Step::Payload => "one JSON object; the signature is base64url".into(),
            Step::Key if foreign => format!("a key of {}", self.entry()),
            Step::Key => self.key.map_or_else(
                || format!("{} is a key of ours", self.header("kid")),
                |key| {
                    let (kid, state) = (quoted(&key.kid), key.state.as_str());
                    format!("{kid} signs sessions: {state} for {}", span(self.now.since(key.since)))
                },
            ),
            Step::Signature => "made by that key".into(),
            Step::Type => self.header("typ"),
            Step::Confirmation => "bound to no key".into(),
            Step::Claims if foreign => "subject, scopes and `jti` are what they must be".into(),
            Step::Claims => "every claim that is signed here is there, of its type".into(),
            Step::Issuer if foreign => format!("{} is {}", self.claim("iss"), self.entry()),
            Step::Issuer => self.claim("iss"),
            Step::Dates => "every time in it is one".into(),
            Step::Expiry => self.ends().unwrap_or_default(),
            Step::NotBefore => self.begins().unwrap_or_else(|| "no `nbf`".into()),
            Step::IssuedAt => self.issued().unwrap_or_else(|| "no `iat`".into()),
            Step::Listed => format!("the entry of {} lists {}", self.entry(), self.header("alg")),
            Step::Audience => format!("one of its audiences is in the entry of {}", self.entry()),
            Step::Lifetime => format!("no longer than `longest` of {}", self.entry()),
            Step::AccessToken => "no ID token".into(),
            Step::Local => "who it speaks for is known".into(),
        }
    }

    fn why(&self, failure: Failure) -> String {
        match failure {
            Failure::Jws(error) => error.to_string(),
            Failure::UnknownKey => self.no_key(),
            Failure::Typ => format!("{} is not `{TYP}`", self.header("typ")),
            Failure::Claim(name) => format!("`{name}` is missing, or is not what is signed here"),
            Failure::Issuer => match self.own() {
                Some(own) => format!("{} is not {}", self.claim("iss"), quoted(own)),
                None => "nothing is signed here: the configuration has no `[issuer] url`".into(),
            },
            Failure::Expired | Failure::Foreign(foreign::Failure::Expired) => {
                self.ends().unwrap_or_else(|| failure.reason().into())
            }
            Failure::NotYet | Failure::Foreign(foreign::Failure::FromTheFuture) => {
                self.issued().unwrap_or_else(|| failure.reason().into())
            }
            Failure::Foreign(foreign::Failure::NotYet) => {
                self.begins().unwrap_or_else(|| failure.reason().into())
            }
            Failure::Confirmation
            | Failure::Over
            | Failure::Store
            | Failure::NoPrincipal
            | Failure::Foreign(_) => failure.reason().into(),
        }
    }

    fn no_key(&self) -> String {
        let kid = self.header("kid");
        match self.key {
            _ if self.text(self.outline.header.as_ref(), "kid").is_none() => "it names no key".into(),
            Some(key) if key.purpose != KeyPurpose::Session => {
                format!("{kid} signs what upstreams are told, which lets nobody in")
            }
            Some(key) if key.state == SigningKeyState::Removed => {
                format!("{kid} was removed {} ago", span(self.now.since(key.since)))
            }
            // it stands in the store, and this process will know it in a moment
            Some(_) => format!("{kid} is not known to this process yet"),
            None => format!(
                "{kid} is no key of ours, and {} no issuer that is trusted; its text says so",
                self.claim("iss")
            ),
        }
    }

    /// Nobody looked: what its text says, for whoever does.
    fn unjudged(&self, step: Step, at: Step) -> String {
        let says = match step {
            Step::Algorithm => Some(self.header("alg")),
            Step::Key => Some(self.header("kid")),
            Step::Type => Some(self.header("typ")),
            Step::Issuer => Some(self.claim("iss")),
            Step::Expiry => self.ends(),
            Step::NotBefore => self.begins(),
            Step::IssuedAt => self.issued(),
            _ => None,
        };
        let at = at.as_str();
        match says {
            Some(says) => format!("`{at}` comes before it; its text says: {says}"),
            None => format!("`{at}` comes before it"),
        }
    }

    fn ends(&self) -> Option<String> {
        let at = self.time("exp")?;
        Some(if self.now < at {
            format!("ends in {}", span(at.since(self.now)))
        } else {
            format!("ended {} ago", span(self.now.since(at)))
        })
    }

    fn issued(&self) -> Option<String> {
        let at = self.time("iat")?;
        Some(if self.now < at {
            format!("issued {} from now", span(at.since(self.now)))
        } else {
            format!("issued {} ago", span(self.now.since(at)))
        })
    }

    fn begins(&self) -> Option<String> {
        let at = self.time("nbf")?;
        Some(if self.now < at {
            format!("good {} from now", span(at.since(self.now)))
        } else {
            format!("good since {}", span(self.now.since(at)))
        })
    }

    fn time(&self, name: &str) -> Option<Timestamp> {
        // what is further away than this is no time of anybody's
        const FURTHEST: i64 = 1 << 40;
        let seconds = self.outline.claims.as_ref()?.get(name)?.as_i64()?;
        (0..FURTHEST).contains(&seconds).then(|| Timestamp::from_seconds(seconds))
    }

    fn header(&self, name: &str) -> String {
        self.shown(self.outline.header.as_ref(), name)
    }

    fn claim(&self, name: &str) -> String {
        self.shown(self.outline.claims.as_ref(), name)
    }

    fn shown(&self, part: Option<&Map<String, Value>>, name: &str) -> String {
        self.text(part, name).map_or_else(|| format!("no `{name}`"), quoted)
    }

    fn text<'m>(&self, part: Option<&'m Map<String, Value>>, name: &str) -> Option<&'m str> {
        part?.get(name)?.as_str()
    }
}

fn fix(failure: Failure, text: &Text<'_>) -> &'static str {
    const AGAIN: &str = "get a new one: refresh, or sign in again";
    match failure {
        Failure::Jws(JwsError::TooLong | JwsError::NotCompact | JwsError::Base64(_) | JwsError::Json(..)) => {
            "was all of it copied, on one line and without a space? it reads `header.payload.signature`"
        }
        Failure::Jws(JwsError::Extension | JwsError::Nested | JwsError::Header(_)) => {
            "nothing here signs so: have whoever signed it leave that out"
        }
        Failure::Jws(JwsError::UnknownAlgorithm) => {
            "ES256, Ed25519, PS256 and RS256 are believed, `none` never: have it signed with one of them"
        }
        Failure::Jws(JwsError::OtherAlgorithm | JwsError::Signature) => {
            "it was changed after it was signed, or somebody made it up; get a new one from where it came"
        }
        Failure::UnknownKey if text.key.is_some_and(|key| key.purpose != KeyPurpose::Session) => {
            "it is for the upstream to read and no credential; show an access token"
        }
        Failure::UnknownKey if text.key.is_some() => AGAIN,
        Failure::UnknownKey => {
            "was it made by this deployment, or for an issuer of `[[issuers]]`? `countersign signing-key list` shows our keys"
        }
        Failure::Typ => "an ID token or the like lets nobody in; show an access token",
        Failure::Confirmation => "use a token that is bound to no key",
        Failure::Claim(_) => {
            "it comes from another release or another service that has the same key; sign in again"
        }
        Failure::Issuer if text.own().is_none() => "set `[issuer] url`",
        Failure::Issuer => "was it made by this deployment? `[issuer] url` says who signs here",
        Failure::Expired | Failure::Over => AGAIN,
        Failure::NotYet => "the clocks of the two machines differ by more than a minute: set both by NTP",
        Failure::NoPrincipal => "make a principal of that name, or change `local` of the entry",
        Failure::Foreign(failure) => fix_foreign(failure),
        Failure::Store => "look whether the store answers: `countersign doctor`",
    }
}

/// What its issuer's entry or the issuer itself would have to say.
fn fix_foreign(failure: foreign::Failure) -> &'static str {
    use foreign::Failure;
    match failure {
        Failure::Form(_) => "was all of it copied, on one line and without a space?",
        Failure::UnknownIssuer | Failure::OtherIssuer => {
            "`issuer` of the entry is compared to the letter, also a slash at its end"
        }
        Failure::Typ | Failure::IdToken => {
            "an ID token lets nobody in: show an access token; where its access tokens have another type, `typ` of the entry says which"
        }
        Failure::Algorithm | Failure::OtherAlgorithm => {
            "`algorithms` of the entry says which are believed of it"
        }
        Failure::NoKeys => "its keys could not be fetched; the server's log says why",
        Failure::UnknownKey => {
            "its keys are fetched again now; if that does not help, it has no such key any more"
        }
        Failure::UnnamedKey => "have the issuer put `kid` into its tokens",
        Failure::Signature => {
            "it was changed after it was signed, or somebody made it up; get a new one from its issuer"
        }
        Failure::OtherAudience => "get one for an audience of the entry, or name its own in `audiences`",
        Failure::Claim(Claim::Subject | Claim::Scopes) => {
            "`claims` of the entry says where in its tokens they stand"
        }
        Failure::Claim(_) => "the issuer writes it otherwise than RFC 7519 says",
        Failure::Expired => "get a new one from its issuer",
        Failure::NotYet | Failure::FromTheFuture => {
            "set the clocks of both by NTP; `leeway` of the entry bears up to a minute"
        }
        Failure::TooLong => "have the issuer give shorter ones, or raise `longest` of the entry",
        Failure::Bound => "use a token that is bound to no key",
    }
}

/// What a token dies with, from the token itself upward.
pub fn descent(lineage: &Lineage) -> Vec<Node> {
    let mut nodes: Vec<Node> = lineage.iter().cloned().collect();
    nodes.sort_by_key(|node| match node.kind {
        NodeKind::Token => 0,
        NodeKind::Session => 1,
        NodeKind::SigningKey => 2,
        NodeKind::Generation => 3,
        NodeKind::Principal => 5,
        _ => 4,
    });
    nodes
}

/// One of [`descent`], as the feed has it.
pub fn revocation(node: &Node, revoked: bool) -> Check {
    const NAME: &str = "revocation";
    if !revoked {
        return Check::passed(NAME, "not revoked").of(node.to_string());
    }
    let (reason, fix) = match node.kind {
        NodeKind::Token => ("this one token was called back", "refresh it, or sign in again"),
        NodeKind::Session => ("its session ended", "sign in again"),
        NodeKind::SigningKey => ("the key that signed it was called back", "refresh it, or sign in again"),
        NodeKind::Generation => {
            ("everything that was signed for its principal until then was called back", "sign in again")
        }
        NodeKind::Password => ("the password changed since", "sign in again with the new one"),
        NodeKind::Principal => ("its principal was revoked, which is for good", "make another principal"),
        _ => ("the credential that it was exchanged for ended", "exchange one that is good"),
    };
    Check::failed(NAME, reason, fix).of(node.to_string())
}

/// Somebody else's words: escaped, and not for ever.
fn quoted(text: &str) -> String {
    let mut kept = text.chars();
    let shown: String = kept.by_ref().take(128).flat_map(char::escape_default).collect();
    let more = if kept.next().is_some() { "..." } else { "" };
    format!("`{shown}{more}`")
}

/// The two largest units: `3d 4h`, `4m 12s`.
fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    let units =
        [("d", seconds / 86_400), ("h", seconds / 3600 % 24), ("m", seconds / 60 % 60), ("s", seconds % 60)];
    let largest = units.iter().position(|(_, count)| *count > 0).unwrap_or(3);
    let shown = units.iter().skip(largest).take(2).filter(|(_, count)| *count > 0);
    let shown: Vec<String> = shown.map(|(unit, count)| format!("{count}{unit}")).collect();
    if shown.is_empty() { "0s".into() } else { shown.join(" ") }
}

#[cfg(test)]
mod tests;
