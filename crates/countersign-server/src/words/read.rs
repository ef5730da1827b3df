//! From a JSON value to a word of ours, or what it must be instead.

use super::{cursor, duration, time};
use crate::{
    input::{Members, Wrong, json::Json},
    problem::{Fault, quoted},
};
use countersign_core::{
    Scope, ScopeSet, Timestamp,
    check::limit::{PlanName, RateLimit},
    page::PageRequest,
    principal::{Group, PrincipalName},
};
use countersign_methods::{api_key::issue::Lifetime, operator, password::normal::Password};
use ipnet::IpNet;
use std::{net::IpAddr, time::Duration};

pub(crate) fn text(value: Json) -> Result<String, Wrong> {
    match value {
        Json::Text(text) => Ok(text),
        other => Err(format!("must be a string, not {}", other.what()).into()),
    }
}

/// As somebody typed it; what is longer than any that may be is not looked at.
pub(crate) fn password(value: Json) -> Result<String, Wrong> {
    let text = text(value)?;
    if text.len() > Password::MAX_TYPED_BYTES {
        return Err(format!("takes at most {} bytes", Password::MAX_TYPED_BYTES).into());
    }
    Ok(text)
}

pub(crate) fn boolean(value: Json) -> Result<bool, Wrong> {
    match value {
        Json::Bool(value) => Ok(value),
        other => Err(format!("must be true or false, not {}", other.what()).into()),
    }
}

pub(crate) fn integer(value: Json, lowest: i64, highest: i64) -> Result<i64, Wrong> {
    match value {
        Json::Integer(n) if (lowest..=highest).contains(&n) => Ok(n),
        Json::Integer(_) => Err(format!("must be between {lowest} and {highest}").into()),
        other => Err(format!("must be a whole number, not {}", other.what()).into()),
    }
}

/// A list of at most `most`, each fault with its index.
pub(crate) fn list<T>(
    value: Json,
    most: usize,
    each: impl Fn(Json) -> Result<T, Wrong>,
) -> Result<Vec<T>, Wrong> {
    let Json::Array(items) = value else {
        return Err(format!("must be an array, not {}", value.what()).into());
    };
    if items.len() > most {
        return Err(format!("takes at most {most}, not {}", items.len()).into());
    }
    let mut read = Vec::with_capacity(items.len());
    let mut faults: Vec<Fault> = Vec::new();
    for (n, item) in items.into_iter().enumerate() {
        match each(item) {
            Ok(item) => read.push(item),
            Err(wrong) => faults.extend(wrong.below(&format!("[{n}]")).0),
        }
    }
    if faults.is_empty() { Ok(read) } else { Err(Wrong(faults)) }
}

pub(crate) fn scopes(value: Json) -> Result<ScopeSet, Wrong> {
    let scopes = list(value, ScopeSet::MAX_SCOPES, |item| {
        let text = text(item)?;
        let Some(scope) = Scope::parse(&text) else {
            let why = "is not a scope: 1 to 128 printable characters without space, `\"` or `\\`";
            return Err(format!("{} {why}", quoted(&text)).into());
        };
        // one that nothing asks for would only look like a right
        if scope.is_operators() && !operator::ALL.contains(&scope.as_str()) {
            let all = operator::ALL.map(|name| format!("`{name}`")).join(", ");
            return Err(format!("{} is not a scope of Countersign; these are: {all}", quoted(&text)).into());
        }
        Ok(scope)
    })?;
    Ok(ScopeSet::new(scopes))
}

pub(crate) fn groups(value: Json) -> Result<Vec<Group>, Wrong> {
    let mut groups = list(value, 64, |item| {
        let text = text(item)?;
        Group::parse(&text).ok_or_else(|| {
            format!("{} is not a group: 1 to 64 of `A-Z a-z 0-9 . _ : -`", quoted(&text)).into()
        })
    })?;
    groups.sort();
    groups.dedup();
    Ok(groups)
}

pub(crate) fn principal_name(value: Json) -> Result<PrincipalName, Wrong> {
    let text = text(value)?;
    // a name that reads as an id would make `id or name` mean two principals
    if countersign_core::PrincipalId::parse(&text).is_some() {
        return Err(format!("{} reads as an id; choose another name", quoted(&text)).into());
    }
    PrincipalName::parse(&text).ok_or_else(|| {
        let why = "is not a name: 1 to 64 of `a-z 0-9 . _ - @`, first a letter or digit";
        format!("{} {why}", quoted(&text)).into()
    })
}

/// A label for people.
pub(crate) fn label(value: Json) -> Result<String, Wrong> {
    let text = text(value)?;
    if text.chars().count() > 200 {
        return Err("takes at most 200 characters".into());
    }
    if text.chars().any(char::is_control) {
        return Err("must not hold control characters".into());
    }
    Ok(text.trim().to_owned())
}

pub(crate) fn networks(value: Json) -> Result<Vec<IpNet>, Wrong> {
    let mut networks = list(value, 64, |item| network(&text(item)?).map_err(Wrong::from))?;
    networks.sort();
    networks.dedup();
    Ok(networks)
}

/// A network in CIDR, or one address.
fn network(text: &str) -> Result<IpNet, String> {
    let parsed = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| format!("{} is not a network such as `10.0.0.0/8` or `2001:db8::/32`", quoted(text)))?;
    // a peer's mapped address is unmapped before it is compared: such a network would never match
    if let IpNet::V6(six) = parsed
        && six.addr().to_ipv4_mapped().is_some()
    {
        return Err(format!("{} is an IPv4 network in IPv6's clothes; write it as IPv4", quoted(text)));
    }
    if parsed.trunc() != parsed {
        let meant = parsed.trunc();
        return Err(format!("{} has bits set beyond its prefix; did you mean `{meant}`?", quoted(text)));
    }
    Ok(parsed)
}

pub(crate) fn span(value: Json) -> Result<Duration, Wrong> {
    Ok(duration::parse(&text(value)?)?)
}

/// As [`span`], and `0s` besides: an overlap may be none.
pub(crate) fn grace(value: Json) -> Result<Duration, Wrong> {
    let text = text(value)?;
    if text == "0s" {
        return Ok(Duration::ZERO);
    }
    Ok(duration::parse(&text)?)
}

pub(crate) fn point(value: Json) -> Result<Timestamp, Wrong> {
    Ok(time::parse(&text(value)?)?)
}

/// `90d`, `never`.
pub(crate) fn lifetime(value: Json) -> Result<Lifetime, Wrong> {
    let text = text(value)?;
    if text == "never" {
        return Ok(Lifetime::Never);
    }
    Ok(Lifetime::For(duration::parse(&text).map_err(|why| format!("{why}, or `never`"))?))
}

pub(crate) fn limit(value: Json) -> Result<RateLimit, Wrong> {
    let Json::Object(entries) = value else {
        let what = value.what();
        return Err(
            format!("must be an object such as {{\"requests\": 100, \"per\": \"1m\"}}, not {what}").into()
        );
    };
    let mut members = Members::of_body(entries);
    let quota = members.required("requests", |v| integer(v, 1, 1_000_000_000));
    let window = members.required("per", |v| match span(v)? {
        window if window > Duration::from_secs(31_536_000) => Err("is longer than a year".into()),
        window => Ok(window),
    });
    members.close()?;
    match (quota.and_then(|q| u32::try_from(q).ok()), window) {
        (Some(quota), Some(window)) => Ok(RateLimit { quota, window }),
        _ => Err("is incomplete".into()),
    }
}

pub(crate) fn plan(value: Json) -> Result<PlanName, Wrong> {
    let text = text(value)?;
    PlanName::parse(&text)
        .ok_or_else(|| format!("{} is not a plan's name: 1 to 64 of `a-z 0-9 _ -`", quoted(&text)).into())
}

/// A whole number in a query.
pub(crate) fn number(value: Json, lowest: i64, highest: i64) -> Result<i64, Wrong> {
    let text = text(value)?;
    let digits = text.strip_prefix('-').unwrap_or(&text);
    if digits.is_empty() || digits.len() > 18 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("{} is not a whole number", quoted(&text)).into());
    }
    integer(text.parse().map(Json::Integer).unwrap_or(Json::Fraction), lowest, highest)
}

pub(crate) fn flag(value: Json) -> Result<bool, Wrong> {
    match text(value)?.as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(format!("must be `true` or `false`, not {}", quoted(other)).into()),
    }
}

/// `limit=`, as every list takes it.
pub(crate) fn page_limit(query: &mut Members) -> u32 {
    let highest = i64::from(PageRequest::MAX_LIMIT);
    let limit = query.optional("limit", |v| number(v, 1, highest));
    limit.and_then(|n| u32::try_from(n).ok()).unwrap_or(PageRequest::DEFAULT_LIMIT)
}

/// One of some words of ours.
pub(crate) fn one_of<T: Copy>(value: Json, all: &[T], word: fn(T) -> &'static str) -> Result<T, Wrong> {
    let text = text(value)?;
    all.iter().copied().find(|one| word(*one) == text).ok_or_else(|| {
        let known = all.iter().map(|one| format!("`{}`", word(*one))).collect::<Vec<_>>().join(", ");
        format!("must be one of {known}, not {}", quoted(&text)).into()
    })
}

/// `sort=`: one of these, with `-` the greatest first. The first of them where nothing is said.
pub(crate) fn sort<T: Copy + Default>(query: &mut Members, all: &[(&'static str, T)]) -> (T, bool) {
    let asked = query.optional("sort", |v| {
        let text = text(v)?;
        let (name, descending) = text.strip_prefix('-').map_or((text.as_str(), false), |name| (name, true));
        let found = all.iter().find(|(known, _)| *known == name);
        found.map(|(_, sort)| (*sort, descending)).ok_or_else(|| {
            let known = all.iter().map(|(known, _)| format!("`{known}`")).collect::<Vec<_>>().join(", ");
            format!("must be one of {known}, with `-` before it for the other way, not {}", quoted(&text))
                .into()
        })
    });
    asked.unwrap_or_default()
}

/// What a name begins with: itself of a name's characters.
pub(crate) fn name_prefix(value: Json) -> Result<String, Wrong> {
    let text = text(value)?;
    match PrincipalName::parse(&text) {
        Some(_) => Ok(text),
        None => Err(format!("{} begins no name: 1 to 64 of `a-z 0-9 . _ - @`", quoted(&text)).into()),
    }
}

/// A time, or how long from now.
pub(crate) fn point_or_span(value: Json, now: Timestamp) -> Result<Timestamp, Wrong> {
    let text = text(value)?;
    match duration::parse(&text) {
        Ok(span) => Ok(now + span),
        Err(_) => time::parse(&text).map_err(|why| format!("{why}, or a duration such as `30d`").into()),
    }
}

/// A time that is over, or how long ago.
pub(crate) fn point_or_span_before(value: Json, now: Timestamp) -> Result<Timestamp, Wrong> {
    let text = text(value)?;
    match duration::parse(&text) {
        Ok(span) => {
            let span = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
            Ok(Timestamp::from_micros(now.as_micros().saturating_sub(span)))
        }
        Err(_) => time::parse(&text).map_err(|why| format!("{why}, or a duration such as `30d`").into()),
    }
}

/// `limit=` and `cursor=`, as every list by keyset takes them.
pub(crate) fn page(query: &mut Members, list: &str) -> PageRequest {
    let limit = page_limit(query);
    let after = query.optional("cursor", |v| {
        let text = text(v)?;
        cursor::decode(list, &text).ok_or_else(|| {
            let why = "is not a cursor of this list; take it from `next`, or leave it out to begin anew";
            Wrong::from(format!("{} {why}", quoted(&text)))
        })
    });
    PageRequest { after, limit }
}
