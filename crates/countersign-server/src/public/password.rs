//! `POST /password`: a person changes their own password, knowing the current one. Guesses are counted and slowed down as at
//! every door (RULES 5.1), and the answer is one and the same for nobody's name, a wrong password and too many of them.

use crate::{
    call::{Answer, Facts, no_content},
    openapi::{
        Described,
        shape::{request, string},
    },
    problem::Problem,
    services::network_of,
    words::read,
};
use countersign_core::check::request::Transport;
use http::StatusCode;
use serde_json::{Value, json};

pub(crate) async fn change(facts: Facts) -> Answer {
    // RULES 1.7: no password over plain HTTP
    if facts.peer.transport == Transport::Plain {
        let detail =
            "a password was sent without TLS; use https, and change it there: somebody may have seen it";
        return Err(Problem::new(StatusCode::FORBIDDEN, "tls_required", detail));
    }
    let services = &facts.services;
    let network = network_of(facts.peer.address);
    services.charge("changes of passwords from this network", &network, &services.limits.revoke)?;

    let mut body = facts.members_of_form_or_json()?;
    let user = body.required("username", read::text);
    let current = body.required("current_password", read::password);
    let new = body.required("new_password", read::password);
    let (user, (current, new)) = body.finish(user.zip(current.zip(new)))?;

    let (from, request) = (facts.peer.address, facts.request);
    services.basic.change_password(&user, (&current, &new), from, request, facts.now).await?;
    Ok(no_content())
}

pub(crate) fn describe_change() -> Described {
    let body =
        request(&[("username", string()), ("current_password", string()), ("new_password", string())], &[]);
    let example = json!({
        "username": "ada",
        "current_password": "seven unrelated words are long enough",
        "new_password": "five other words do as well",
    });
    Described::new("basic", "Change one's own password, knowing the current one")
        .form_or_body(body, example)
        .media(204, "it is changed; what was signed in with the one before ends", "", Value::Null)
        .problem(403, "password_wrong")
        .problem(409, "password_changed")
        .problem(422, "password_weak")
        .problem(503, "passwords_busy")
}
