//! Pure: the claims of an access token of ours, to and from JSON. What a verified token says is still judged claim by claim: a key
//! signs more than one kind of thing over its life.

use super::{
    record::{AccessToken, CLIENT},
    verify::Failure,
};
use countersign_core::{CredentialId, Node, NodeKind, PrincipalId, ScopeSet, Timestamp};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// RFC 7519 2: seconds since 1970. None of ours is beyond the year 9999.
const LATEST: i64 = 253_402_300_799;
/// None of ours has as many; a bound for whoever reads them.
const MOST_AUDIENCES: usize = 64;
const MOST_PARENTS: usize = 32;

pub fn write(token: &AccessToken) -> Map<String, Value> {
    let audience = match &*token.audiences {
        [one] => json!(&**one),
        several => several.iter().map(|a| &**a).collect(),
    };
    let lineage: Vec<String> = token.parents.iter().map(Node::to_string).collect();
    let claims = json!({
        "iss": &*token.issuer,
        "aud": audience,
        "sub": token.principal.as_str(),
        "client_id": CLIENT,
        "iat": token.issued_at.as_seconds(),
        "exp": token.expires_at.as_seconds(),
        "jti": token.jti,
        "scope": token.scopes.to_string(),
        "auth_time": token.authenticated_at.as_seconds(),
        "amr": [token.amr],
        "sid": token.session.as_str(),
        "lin": lineage,
    });
    match claims {
        Value::Object(claims) => claims,
        _ => Map::new(),
    }
}

/// Every claim that [`write`] writes; one that is missing or of another type refuses the token.
pub fn read(claims: &Map<String, Value>) -> Result<AccessToken, Failure> {
    let text = |name: &'static str| claims.get(name).and_then(Value::as_str).ok_or(Failure::Claim(name));
    if text("client_id")? != CLIENT {
        return Err(Failure::Claim("client_id"));
    }
    let lineage = strings(claims, "lin", MOST_PARENTS)?;
    let parents = lineage.into_iter().map(node).collect::<Option<_>>().ok_or(Failure::Claim("lin"))?;
    let [amr] = strings(claims, "amr", 1)?[..] else { return Err(Failure::Claim("amr")) };
    Ok(AccessToken {
        issuer: text("iss")?.into(),
        audiences: audiences(claims)?,
        principal: PrincipalId::parse(text("sub")?).ok_or(Failure::Claim("sub"))?,
        session: CredentialId::new(word(text("sid")?).ok_or(Failure::Claim("sid"))?),
        jti: word(text("jti")?).ok_or(Failure::Claim("jti"))?.to_owned(),
        scopes: ScopeSet::parse(text("scope")?).ok_or(Failure::Claim("scope"))?,
        parents,
        amr: amr.to_owned(),
        authenticated_at: time(claims, "auth_time")?,
        issued_at: time(claims, "iat")?,
        expires_at: time(claims, "exp")?,
    })
}

/// RFC 7519 4.1.3: one string or several; none is none.
fn audiences(claims: &Map<String, Value>) -> Result<Arc<[Arc<str>]>, Failure> {
    let named: Vec<&str> = match claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        _ => strings(claims, "aud", MOST_AUDIENCES)?,
    };
    if named.is_empty() {
        return Err(Failure::Claim("aud"));
    }
    Ok(named.into_iter().map(Arc::from).collect())
}

fn strings<'c>(
    claims: &'c Map<String, Value>,
    name: &'static str,
    most: usize,
) -> Result<Vec<&'c str>, Failure> {
    let values = claims.get(name).and_then(Value::as_array).filter(|values| values.len() <= most);
    let texts = values.and_then(|values| values.iter().map(Value::as_str).collect::<Option<_>>());
    texts.ok_or(Failure::Claim(name))
}

fn time(claims: &Map<String, Value>, name: &'static str) -> Result<Timestamp, Failure> {
    let seconds = claims.get(name).and_then(Value::as_i64).filter(|at| (0..=LATEST).contains(at));
    seconds.map(Timestamp::from_seconds).ok_or(Failure::Claim(name))
}

/// Letters and digits: our own ids.
fn word(text: &str) -> Option<&str> {
    let good = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
    good.then_some(text)
}

fn node(text: &str) -> Option<Node> {
    let (kind, id) = text.split_once(':')?;
    Some(Node::new(NodeKind::parse(kind)?, id))
}
