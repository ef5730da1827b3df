//! `[[issuers]]`: external issuers whose access tokens are trusted, and how far.

use super::{
    reader::{Field, Table},
    report::MISSING,
    routes::transpose,
};
use crate::private_file;
use countersign_core::{Scope, ScopeSet, principal::PrincipalName};
use countersign_crypto::{SecretBytes, jose::Algorithm};
use countersign_methods::jwt::foreign::{
    ClaimNames, ClaimPath, ExpectedTyp, ForeignIssuer, IssuerName, IssuerProblem, KeyOrigin,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use url::Url;

pub(super) const AT_JWT: &str = "at+jwt";
pub(super) const JWT: &str = "JWT";
pub(super) const JWT_OR_NONE: &str = "JWT or none";
pub(super) const DISCOVERY: &str = "discovery";

const ALGORITHMS: [(&str, Algorithm); 5] = [
    ("ES256", Algorithm::Es256),
    ("PS256", Algorithm::Ps256),
    ("RS256", Algorithm::Rs256),
    ("Ed25519", Algorithm::Ed25519),
    ("HS256", Algorithm::Hs256),
];

pub(super) fn read(root: &Table<'_, '_>) -> Option<Vec<ForeignIssuer>> {
    let mut issuers: Vec<ForeignIssuer> = Vec::new();
    let mut all_good = true;
    for table in root.sections("issuers") {
        let read = issuer(&table);
        table.finish();
        let Some(issuer) = read else {
            all_good = false;
            continue;
        };
        for problem in issuer.problems() {
            at(&table, place(problem), problem.to_string());
        }
        for other in &issuers {
            if other.name == issuer.name {
                at(&table, "name", format!("`{}` is the name of two issuers", issuer.name));
            }
            if other.issuer == issuer.issuer {
                at(&table, "issuer", format!("is that of `{}` too", other.name));
            }
        }
        issuers.push(issuer);
    }
    all_good.then_some(issuers)
}

fn issuer(table: &Table<'_, '_>) -> Option<ForeignIssuer> {
    let name = table.require("name").and_then(|field| {
        field.parsed(|text| {
            IssuerName::parse(text).ok_or_else(|| format!("`{text}` is not 1 to 64 of `a-z 0-9 _ -`"))
        })
    });
    let issuer = table.require("issuer").and_then(|field| field.string());
    let keys = table.get("jwks").map_or(Some(KeyOrigin::Discovery), |field| jwks(&field));
    let usual = match keys {
        Some(KeyOrigin::Secret(_)) => vec![Algorithm::Hs256],
        // an RSA key that does not say which of its two it is for is nearly always this
        _ => vec![Algorithm::Es256, Algorithm::Rs256],
    };
    let algorithms = table.get("algorithms").map_or(Some(usual), |field| algorithms(&field));
    let audiences = table.require("audiences").and_then(|field| field.list(|text| Ok(text.into())));
    let typ = typ(table);
    let time = |key, usual| table.get(key).map_or(Some(usual), |field: Field<'_, '_>| field.duration());
    let leeway = table.get("leeway").map_or(Some(ForeignIssuer::LEEWAY), |field| or_none(&field));
    let longest = time("longest", ForeignIssuer::LONGEST);
    let stream_grace =
        table.get("stream_grace").map_or(Some(ForeignIssuer::STREAM_GRACE), |field| or_none(&field));
    let claims = table.get("claims").map_or(Some(ClaimNames::default()), |field| claims(&field));
    let scopes = table.get("scopes").map_or(Some(Vec::new()), |field| field.list(scope));
    let scope_map = table.get("scope_map").map_or(Some(BTreeMap::new()), |field| map(&field, scope));
    let local = table.get("local").map_or(Some(BTreeMap::new()), |field| map(&field, principal));
    Some(ForeignIssuer {
        name: name?,
        issuer: issuer?.into(),
        keys: keys?,
        algorithms: algorithms?,
        audiences: audiences?,
        typ: typ?,
        leeway: leeway?,
        longest: longest?,
        stream_grace: stream_grace?,
        claims: claims?,
        scopes: ScopeSet::new(scopes?),
        scope_map: scope_map?,
        local: local?,
    })
}

/// `"discovery"`, or one of `{ url = ".." }`, `{ file = ".." }` and `{ secret_file = ".." }`.
fn jwks(field: &Field<'_, '_>) -> Option<KeyOrigin> {
    if field.is_url() {
        field.problem("is `\"discovery\"` or a table: a URL stands in `{ url = \"..\" }`");
        return None;
    }
    if field.is_string() {
        return field.choice(&[(DISCOVERY, ())]).map(|()| KeyOrigin::Discovery);
    }
    let table = field.table()?;
    let (url, file, secret) = (table.get("url"), table.get("file"), table.get("secret_file"));
    table.finish();
    match (url, file, secret) {
        (Some(url), None, None) => url.parsed(keys_url).map(KeyOrigin::Url),
        (None, Some(file), None) => file.parsed(|text| {
            let path = file.folder().join(text);
            if path.is_file() {
                Ok(KeyOrigin::File(path))
            } else {
                Err(format!("there is no file `{}`", path.display()))
            }
        }),
        (None, None, Some(secret)) => secret.parsed(|text| {
            let path = secret.folder().join(text);
            let read = secret.read_file(&path).map_err(|why| format!("`{}`: {why}", path.display()))?;
            private_file::read_given(&path).map_err(|failure| failure.what)?;
            Ok(KeyOrigin::Secret(SecretBytes::new(read.into_bytes())))
        }),
        _ => {
            field.problem("names one of `url`, `file` and `secret_file`, and no two of them");
            None
        }
    }
}

/// Keys that came over plain HTTP could be anybody's.
fn keys_url(text: &str) -> Result<String, String> {
    let url = Url::parse(text)
        .map_err(|e| format!("`{text}` is not a URL such as `https://idp.example.com/jwks`: {e}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        // the value itself is a secret then
        return Err("holds credentials; a URL is shown and logged, so they cannot stand in it".into());
    }
    let here = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(four)) => four.is_loopback(),
        Some(url::Host::Ipv6(six)) => six.is_loopback(),
        None => false,
    };
    let private = url.scheme() == "https" || url.scheme() == "http" && here;
    if private && url.has_host() && url.fragment().is_none() {
        return Ok(text.to_owned());
    }
    Err(format!("`{text}` is not an `https://` URL without a fragment; `http://` is for this machine alone"))
}

fn algorithms(field: &Field<'_, '_>) -> Option<Vec<Algorithm>> {
    let items = field.array()?;
    let read: Vec<Option<Algorithm>> = items.iter().map(|item| item.choice(&ALGORITHMS)).collect();
    read.into_iter().collect()
}

fn typ(table: &Table<'_, '_>) -> Option<ExpectedTyp> {
    let absent_ok = table.get("typ").map_or(Some(None), |field| {
        field.choice(&[(AT_JWT, None), (JWT, Some(false)), (JWT_OR_NONE, Some(true))])
    });
    let required = table.get("required_claim");
    let required_claim = transpose(required.as_ref().map(|field| field.parsed(claim)));
    match (absent_ok?, required) {
        (None, None) => Some(ExpectedTyp::AccessToken),
        (None, Some(field)) => {
            field.problem("goes with `typ = \"JWT\"`: what is `at+jwt` is an access token already");
            None
        }
        (Some(_), None) => {
            let why = "by it access tokens are told from ID tokens, which have the same `typ`: a claim that only \
                       access tokens of this issuer have, such as `scope`";
            table.problem_at("required_claim", format!("{MISSING}: {why}"));
            None
        }
        (Some(absent_ok), Some(_)) => Some(ExpectedTyp::Jwt { absent_ok, required_claim: required_claim?? }),
    }
}

/// Also none at all, which no duration says.
fn or_none(field: &Field<'_, '_>) -> Option<Duration> {
    if field.says("0s") { Some(Duration::ZERO) } else { field.duration() }
}

/// `{ subject = "sub", name = "preferred_username", scopes = "realm_access.roles", .. }`.
fn claims(field: &Field<'_, '_>) -> Option<ClaimNames> {
    let table = field.table()?;
    let usual = ClaimNames::default();
    let read = |key| transpose(table.get(key).map(|field: Field<'_, '_>| field.parsed(claim)));
    let (subject, scopes, client) = (read("subject"), read("scopes"), read("client"));
    let (name, groups) = (read("name"), read("groups"));
    table.finish();
    Some(ClaimNames {
        subject: subject?.unwrap_or(usual.subject),
        name: name?,
        scopes: scopes?.unwrap_or(usual.scopes),
        groups: groups?,
        client: client?.unwrap_or(usual.client),
    })
}

/// Whatever its keys are called.
fn map<T>(field: &Field<'_, '_>, parse: impl Fn(&str) -> Result<T, String>) -> Option<BTreeMap<Arc<str>, T>> {
    let table = field.table()?;
    let read: Vec<_> =
        table.entries().map(|(key, field)| Some((Arc::from(key), field.parsed(&parse)?))).collect();
    table.finish_any();
    read.into_iter().collect()
}

fn claim(text: &str) -> Result<ClaimPath, String> {
    ClaimPath::parse(text).map_err(|error| format!("`{text}` {error}"))
}

fn scope(text: &str) -> Result<Scope, String> {
    Scope::parse(text).ok_or_else(|| format!("`{text}` is not a scope (RFC 6749 3.3)"))
}

fn principal(text: &str) -> Result<PrincipalName, String> {
    PrincipalName::parse(text).ok_or_else(|| {
        format!(
            "`{text}` is not the name of a principal: 1 to 64 of `a-z 0-9 . _ - @`, first a letter or digit"
        )
    })
}

/// The key that is to be changed.
fn place(problem: IssuerProblem) -> &'static str {
    match problem {
        IssuerProblem::Issuer | IssuerProblem::Discovery => "issuer",
        IssuerProblem::Algorithms | IssuerProblem::Symmetric | IssuerProblem::Secret => "algorithms",
        IssuerProblem::ShortSecret => "jwks",
        IssuerProblem::NoAudience | IssuerProblem::Audience => "audiences",
        IssuerProblem::RequiredClaim => "required_claim",
        IssuerProblem::Leeway => "leeway",
        IssuerProblem::Longest => "longest",
        IssuerProblem::StreamGrace => "stream_grace",
        IssuerProblem::OperatorsScope => "scopes",
        IssuerProblem::ScopeMap => "scope_map",
        IssuerProblem::Local => "local",
    }
}

fn at(table: &Table<'_, '_>, key: &'static str, message: String) {
    match table.get(key) {
        Some(field) => field.problem(message),
        None => table.problem_at(key, message),
    }
}

#[cfg(test)]
mod tests;
