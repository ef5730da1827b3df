//! `countersign ready`: what a container or a script asks before it sends anybody here. Needs no key: `/ready` says one
//! word to everybody (RULES 3.8).

use super::Common;
use crate::{
    admin_client::on_this_host,
    config::Environment,
    output::{Exit, Failure},
    place::{AUTHORITY, Place},
};
use clap::Args;
use reqwest::{Certificate, Client, redirect};
use std::time::Duration;

#[derive(Debug, Args)]
#[command(before_help = "Examples:
  countersign ready
  countersign ready --config /etc/countersign/countersign.toml && echo open")]
pub struct Ready {}

pub async fn run(_: Ready, common: &Common) -> Result<Exit, Failure> {
    let place = Place::find(common.config.as_deref(), common.dir.as_deref())?;
    let observe = place.load(&Environment::of_process())?.observe;
    let Some(listen) = observe.listen else {
        return Err(Failure::usage("the configuration has no `[observe] listen`, so nobody can be asked")
            .todo("give it one, such as `127.0.0.1:8446`"));
    };
    let mut builder =
        Client::builder().timeout(Duration::from_secs(4)).redirect(redirect::Policy::none()).no_proxy();
    let authority = common.ca.clone().unwrap_or_else(|| place.file(AUTHORITY));
    if authority.is_file() {
        let shown = authority.display();
        let pem =
            std::fs::read(&authority).map_err(|e| Failure::failed(format!("cannot read `{shown}`: {e}")))?;
        let certificates = Certificate::from_pem_bundle(&pem)
            .map_err(|e| Failure::failed(format!("`{shown}` holds no certificates in PEM: {e}")))?;
        builder = builder.tls_certs_only(certificates);
    }
    let http = builder.build().map_err(|e| Failure::failed(format!("cannot make a client: {e}")))?;
    let mut url = on_this_host(listen, observe.tls.is_some())?;
    url.set_path("/ready");
    let answer = http.get(url).send().await.map_err(|_| {
        Failure::failed(format!("nobody answers at {listen}")).todo("is `countersign serve` running?")
    })?;
    if !answer.status().is_success() {
        return Err(Failure::failed(format!("not ready ({})", answer.status().as_u16()))
            .todo("`countersign doctor` and the server's log say why"));
    }
    common.out().say("ready");
    Ok(Exit::Ok)
}
