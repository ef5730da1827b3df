//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a request that makes something may be sent again when its
//! answer was lost, and makes it once. The repeat gets the record; a secret it does not get (RULES 4.2).

use crate::{
    call::{Answer, Call},
    problem::Problem,
};
use countersign_core::idempotency::{Mark, Once};
use countersign_crypto::hash::Sha256;
use countersign_methods::principal::caller::Caller;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const LONGEST: usize = 128;

/// What came of it.
#[derive(Debug)]
pub(crate) enum Done<T> {
    Now(T),
    /// It was made by an earlier request; the id.
    Before(String),
}

/// Runs `make` with a caller that carries the mark, unless it ran before. Of two at once one runs, and the other waits for
/// its end in the store.
pub(crate) async fn once<T>(
    call: &Call,
    make: impl AsyncFnOnce(&Caller) -> Result<T, Problem>,
) -> Result<Done<T>, Problem> {
    let Some(mark) = mark(call)? else { return make(&call.caller).await.map(Done::Now) };
    if let Some(id) = before(call, &mark).await? {
        return Ok(Done::Before(id));
    }
    let caller = Caller { mark: Some(mark.clone()), ..call.caller.clone() };
    match make(&caller).await {
        // The store says that it was repeated; but who came second may as well have stumbled over what the first one did:
        // a name that is taken, a key that is rotated already.
        Err(problem) => match before(call, &mark).await? {
            Some(id) => Ok(Done::Before(id)),
            None => Err(problem),
        },
        made => made.map(Done::Now),
    }
}

/// An answer to a repeat says so.
pub(crate) fn replayed(answer: Answer) -> Answer {
    let mut response = answer?;
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

async fn before(call: &Call, mark: &Mark) -> Result<Option<String>, Problem> {
    let known = call.services.idempotency.made(&mark.caller, &mark.key).await?;
    let Some(Once { mark: known, made }) = known else { return Ok(None) };
    if known.fingerprint != mark.fingerprint {
        let detail = "another request was sent under this `Idempotency-Key`; give each request a key of its own, such as a \
                      UUID, and repeat only the very same request under it";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", detail));
    }
    Ok(Some(made))
}

fn mark(call: &Call) -> Result<Option<Mark>, Problem> {
    let Some(key) = read(call.headers())? else { return Ok(None) };
    let parts = [call.method().as_str().as_bytes(), call.path().as_bytes(), call.body()];
    let fingerprint = match &call.services.kept_fingerprint {
        // a body is not to be guessed from what the store keeps of it
        Some(kept) => kept.of(&parts),
        None => {
            let mut hash = Sha256::new();
            parts.iter().for_each(|part| hash.update_prefixed(part));
            hash.finish()
        }
    };
    Ok(Some(Mark { caller: call.caller.name().to_owned(), key, fingerprint }))
}

/// A string of RFC 8941, as the draft has it, or bare, as most send it.
fn read(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut fields = headers.get_all(KEY).iter();
    let Some(field) = fields.next() else { return Ok(None) };
    let broken = || {
        Problem::malformed(format!(
            "`Idempotency-Key` must be given once, as 1 to {LONGEST} printable characters"
        ))
    };
    let text = field.to_str().map_err(|_| broken())?.trim();
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let printable = |b: u8| matches!(b, b'!'..=b'~') && b != b'"' && b != b'\\';
    let good = (1..=LONGEST).contains(&inner.len()) && inner.bytes().all(printable);
    if !good || fields.next().is_some() {
        return Err(broken());
    }
    Ok(Some(inner.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_printable_word() {
        let read = |fields: &[&str]| {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(KEY, HeaderValue::from_bytes(field.as_bytes()).unwrap());
            }
            super::read(&headers).map_err(|problem| problem.status)
        };
        assert_eq!(read(&[]), Ok(None));
        for same in ["8e03978e-40d5", "\"8e03978e-40d5\"", " 8e03978e-40d5 "] {
            assert_eq!(read(&[same]), Ok(Some("8e03978e-40d5".into())), "{same}");
        }
        assert_eq!(read(&[&"x".repeat(128)]), Ok(Some("x".repeat(128))));
        for broken in ["", "\"\"", "a b", "a\"b", "\"a", "a\\b", "\u{e4}", &"x".repeat(129)] {
            assert_eq!(read(&[broken]), Err(StatusCode::BAD_REQUEST), "{broken}");
        }
        assert_eq!(read(&["a", "a"]), Err(StatusCode::BAD_REQUEST));
    }
}
