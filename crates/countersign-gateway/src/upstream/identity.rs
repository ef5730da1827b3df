//! Telling the upstream who calls: always `Countersign-Principal`, beside it the headers of one preset.

use crate::config::IdentityPreset;
use countersign_core::check::decision::{Known, Permit};
use http::{HeaderMap, HeaderName, HeaderValue};

/// RULES 3.3: a value that a header cannot carry unchanged is an error of ours, not an escape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unrepresentable(pub(crate) &'static str);

/// On a public route there is nobody to name, and nothing is set: every copy from outside is gone already.
pub(crate) fn inject(
    preset: IdentityPreset,
    permit: &Permit,
    headers: &mut HeaderMap,
) -> Result<(), Unrepresentable> {
    let Some(subject) = permit.subject() else { return Ok(()) };
    let standing = &subject.standing;
    let id = standing.principal.as_str();
    let name = standing.name.as_str();
    set(headers, "countersign-principal", id)?;
    match preset {
        IdentityPreset::Countersign | IdentityPreset::ClientCert | IdentityPreset::Xfcc => {}
        IdentityPreset::OAuth2Proxy => {
            set(headers, "x-auth-request-user", id)?;
            set(headers, "x-auth-request-preferred-username", name)?;
            set(headers, "x-forwarded-user", id)?;
            set(headers, "x-forwarded-preferred-username", name)?;
            if let Some(groups) = groups(subject) {
                set(headers, "x-auth-request-groups", &groups)?;
                set(headers, "x-forwarded-groups", &groups)?;
            }
        }
        IdentityPreset::Authelia => {
            set(headers, "remote-user", name)?;
            set(headers, "remote-name", name)?;
            if let Some(groups) = groups(subject) {
                set(headers, "remote-groups", &groups)?;
            }
        }
        IdentityPreset::Consumer => {
            set(headers, "x-consumer-id", id)?;
            set(headers, "x-consumer-username", name)?;
            set(headers, "x-credential-identifier", subject.authentication.credential.as_str())?;
            if let Some(groups) = groups(subject) {
                set(headers, "x-consumer-groups", &groups)?;
            }
        }
    }
    Ok(())
}

fn groups(subject: &Known) -> Option<String> {
    let names: Vec<&str> = subject.standing.groups.iter().map(|g| g.as_str()).collect();
    (!names.is_empty()).then(|| names.join(","))
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) -> Result<(), Unrepresentable> {
    // a field value is visible ASCII here: every server reads that alike
    let plain = value.bytes().all(|b| (0x20..0x7f).contains(&b)) && value.trim() == value;
    let value = HeaderValue::try_from(value).ok().filter(|_| plain).ok_or(Unrepresentable(name))?;
    headers.insert(HeaderName::from_static(name), value);
    Ok(())
}
