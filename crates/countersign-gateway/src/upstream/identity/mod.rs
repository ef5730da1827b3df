//! Telling the upstream who calls: always `Countersign-Principal`, beside it the headers of one preset. ([`mint`] makes the
//! signed one of ours.)

pub(crate) mod mint;

use crate::{config::IdentityPreset, http1::fields::Fields};
use countersign_core::check::decision::{Known, Permit};
use http::HeaderName;

pub(super) static COUNTERSIGN_IDENTITY: HeaderName = HeaderName::from_static("countersign-identity");
static COUNTERSIGN_PRINCIPAL: HeaderName = HeaderName::from_static("countersign-principal");
static REMOTE_GROUPS: HeaderName = HeaderName::from_static("remote-groups");
static REMOTE_NAME: HeaderName = HeaderName::from_static("remote-name");
static REMOTE_USER: HeaderName = HeaderName::from_static("remote-user");
static X_AUTH_REQUEST_GROUPS: HeaderName = HeaderName::from_static("x-auth-request-groups");
static X_AUTH_REQUEST_PREFERRED_USERNAME: HeaderName =
    HeaderName::from_static("x-auth-request-preferred-username");
static X_AUTH_REQUEST_USER: HeaderName = HeaderName::from_static("x-auth-request-user");
static X_CONSUMER_GROUPS: HeaderName = HeaderName::from_static("x-consumer-groups");
static X_CONSUMER_ID: HeaderName = HeaderName::from_static("x-consumer-id");
static X_CONSUMER_USERNAME: HeaderName = HeaderName::from_static("x-consumer-username");
static X_CREDENTIAL_IDENTIFIER: HeaderName = HeaderName::from_static("x-credential-identifier");
static X_FORWARDED_GROUPS: HeaderName = HeaderName::from_static("x-forwarded-groups");
static X_FORWARDED_PREFERRED_USERNAME: HeaderName = HeaderName::from_static("x-forwarded-preferred-username");
static X_FORWARDED_USER: HeaderName = HeaderName::from_static("x-forwarded-user");

/// RULES 3.3: a value that a header cannot carry unchanged is an error of ours, not an escape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unrepresentable(pub(crate) &'static str);

/// On a public route there is nobody to name, and nothing is set: every copy from outside is gone already.
pub(crate) fn inject(
    preset: IdentityPreset,
    permit: &Permit,
    fields: &mut Fields,
) -> Result<(), Unrepresentable> {
    let Some(subject) = permit.subject() else { return Ok(()) };
    let standing = &subject.standing;
    let id = standing.principal.as_str();
    let name = standing.name.as_str();
    set(fields, &COUNTERSIGN_PRINCIPAL, id)?;
    match preset {
        IdentityPreset::Countersign | IdentityPreset::ClientCert | IdentityPreset::Xfcc => {}
        IdentityPreset::OAuth2Proxy => {
            set(fields, &X_AUTH_REQUEST_USER, id)?;
            set(fields, &X_AUTH_REQUEST_PREFERRED_USERNAME, name)?;
            set(fields, &X_FORWARDED_USER, id)?;
            set(fields, &X_FORWARDED_PREFERRED_USERNAME, name)?;
            if let Some(groups) = groups(subject) {
                set(fields, &X_AUTH_REQUEST_GROUPS, &groups)?;
                set(fields, &X_FORWARDED_GROUPS, &groups)?;
            }
        }
        IdentityPreset::Authelia => {
            set(fields, &REMOTE_USER, name)?;
            set(fields, &REMOTE_NAME, name)?;
            if let Some(groups) = groups(subject) {
                set(fields, &REMOTE_GROUPS, &groups)?;
            }
        }
        IdentityPreset::Consumer => {
            set(fields, &X_CONSUMER_ID, id)?;
            set(fields, &X_CONSUMER_USERNAME, name)?;
            set(fields, &X_CREDENTIAL_IDENTIFIER, subject.authentication.credential.as_str())?;
            if let Some(groups) = groups(subject) {
                set(fields, &X_CONSUMER_GROUPS, &groups)?;
            }
        }
    }
    Ok(())
}

fn groups(subject: &Known) -> Option<String> {
    let names: Vec<&str> = subject.standing.groups.iter().map(|g| g.as_str()).collect();
    (!names.is_empty()).then(|| names.join(","))
}

fn set(fields: &mut Fields, name: &'static HeaderName, value: &str) -> Result<(), Unrepresentable> {
    // a field value is visible ASCII here: every server reads that alike
    let plain = value.bytes().all(|b| (0x20..0x7f).contains(&b)) && value.trim() == value;
    if !plain {
        return Err(Unrepresentable(name.as_str()));
    }
    fields.try_insert(name, value.as_bytes()).map_err(|_| Unrepresentable(name.as_str()))
}
