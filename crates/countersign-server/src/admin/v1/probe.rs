//! `/admin/v1/probes`: what arrives at the gateway of a request that comes through somebody's own proxy.

use crate::{
    call::{Answer, Call, created},
    words::time,
};
use serde::Serialize;
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
