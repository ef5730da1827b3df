//! `/admin/v1/probes`: what arrives at the gateway of a request that comes through somebody's own proxy.

use crate::{
    call::{Answer, Call, created},
    openapi::{
        Described,
        shape::{defined, object, request, string, time as instant},
    },
    words::time,
};
use serde::Serialize;
use serde_json::{Value, json};
use std::{fmt::Write, time::Duration};

const LIFETIME: Duration = Duration::from_secs(60);

#[derive(Debug, Serialize)]
struct Armed {
    /// The field that carries the token.
    header: &'static str,
    token: String,
    until: String,
}

/// Until it ends, or another one is asked for, a request to this process's gateway with this token is answered with
/// what arrived.
pub(crate) async fn create(call: Call) -> Answer {
    call.members_if_any()?.finish(Some(()))?;
    let mut bits = [0; 24];
    call.services.entropy.fill(&mut bits);
    let token = bits.iter().fold(String::new(), |mut text, byte| {
        // a string takes what it is given
        let _ = write!(text, "{byte:02x}");
        text
    });
    let until = call.now + LIFETIME;
    call.services.probing.arm(&token, until);
    created(&Armed { header: "countersign-probe", token, until: time::format(until) }, "/admin/v1/probes")
}

pub(crate) fn schemas() -> Vec<(&'static str, Value)> {
    let armed = object(
        "Until `until` a request with `token` in the field `header` is answered with what arrived.",
        &[("header", string()), ("token", string()), ("until", instant())],
        &[],
    );
    vec![("Probe", armed)]
}

pub(crate) fn describe_create() -> Described {
    Described::new("probes", "Ask this process's gateway to say what arrives")
        .optional_body(request(&[], &[]), json!({}))
        .answer(201, "the field and the token", defined("Probe"))
        .located()
}
