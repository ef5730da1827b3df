//! The pages that a person sees: whole without a script, one column, labels above fields, the same in light and in dark. What may
//! load, and where a form may go, is said in the header and not only in the text.

use crate::{call::Answer, problem::Problem};
use axum::body::Body;
use countersign_crypto::{Entropy, random_id};
use http::{HeaderName, HeaderValue, Response, StatusCode, header};

/// RULES 5.1: one sentence for a wrong password, nobody's name, and too many of either.
pub(crate) const WRONG: &str = "User name and password do not fit, or too many that do not were tried. \
                                Look at them, wait a while, and try again.";

pub(crate) const BUSY: &str = "Too many people are signing in just now. Try again in a moment.";

const STYLE: &str = include_str!("page.css");

/// A sign-in that did not succeed.
pub(crate) struct Failed<'f> {
    pub(crate) status: StatusCode,
    pub(crate) says: &'f str,
    pub(crate) user: &'f str,
}

/// `realm`: what people know this deployment by.
pub(crate) fn login(
    entropy: &dyn Entropy,
    realm: &str,
    back: Option<&str>,
    failed: Option<Failed<'_>>,
) -> Answer {
    let status = failed.as_ref().map_or(StatusCode::OK, |failed| failed.status);
    let error = failed.as_ref().map_or_else(String::new, |failed| {
        format!("<p id=\"error\" class=\"error\" role=\"alert\">{}</p>\n", escaped(failed.says))
    });
    let back = back.map_or_else(String::new, |back| {
        format!("<input type=\"hidden\" name=\"return_to\" value=\"{}\">\n", escaped(back))
    });
    let user = failed.as_ref().map_or("", |failed| failed.user);
    // whoever typed a name already goes on with the password
    let (first, second) = if user.is_empty() { (" autofocus", "") } else { ("", " autofocus") };
    // the field that has the focus is read out with its description, also where `role` alone says nothing of a fresh page
    let described = if failed.is_some() { " aria-describedby=\"error\"" } else { "" };
    let title = if failed.is_some() { "Not signed in" } else { "Sign in" };
    let (realm, user) = (escaped(realm), escaped(user));
    let body = format!(
        "<h1>Sign in</h1>\n<p id=\"realm\" class=\"realm\">{realm}</p>\n{error}\
         <form id=\"login-form\" method=\"post\" action=\"/.countersign/session/login\">\n{back}\
         <label for=\"username\">User name</label>\n\
         <input id=\"username\" name=\"username\" type=\"text\" autocomplete=\"username\" autocapitalize=\"none\" \
         spellcheck=\"false\" required value=\"{user}\"{first}{described}>\n\
         <label for=\"password\">Password</label>\n\
         <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" required{second}{described}>\n\
         <button id=\"submit\" type=\"submit\">Sign in</button>\n</form>\n"
    );
    page(entropy, status, title, &body)
}

/// To whoever is signed in. Does not say as whom: what a page does not hold, nobody reads over a shoulder or out of it.
pub(crate) fn signed_in(entropy: &dyn Entropy, realm: &str, back: Option<&str>) -> Answer {
    let (realm, back) = (escaped(realm), escaped(back.unwrap_or("/")));
    let body = format!(
        "<h1>You are signed in</h1>\n<p id=\"realm\" class=\"realm\">{realm}</p>\n\
         <p class=\"act\"><a id=\"continue\" href=\"{back}\">Continue</a></p>\n{SIGN_OUT}"
    );
    page(entropy, StatusCode::OK, "You are signed in", &body)
}

pub(crate) fn logout(entropy: &dyn Entropy, realm: &str) -> Answer {
    let realm = escaped(realm);
    let body = format!(
        "<h1>Sign out?</h1>\n<p id=\"realm\" class=\"realm\">{realm}</p>\n{SIGN_OUT}\
         <p class=\"other\"><a id=\"continue\" href=\"/\">Stay signed in</a></p>\n"
    );
    page(entropy, StatusCode::OK, "Sign out", &body)
}

const SIGN_OUT: &str = "<form id=\"logout-form\" method=\"post\" action=\"/.countersign/session/logout\">\n\
                        <button id=\"submit\" type=\"submit\">Sign out</button>\n</form>\n";

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

fn page(entropy: &dyn Entropy, status: StatusCode, title: &str, body: &str) -> Answer {
    let nonce = random_id(entropy, 22);
    let text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <style nonce=\"{nonce}\">\n{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    );
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    let headers = response.headers_mut();
    let policy = HeaderValue::try_from(policy).map_err(|_| Problem::internal())?;
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    // what a page of another host asks for as an image or a script is not handed to it
    headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    // with `no-referrer` a browser would say `Origin: null` of its own form
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    Ok(response)
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
