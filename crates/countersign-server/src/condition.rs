//! `ETag` and `If-Match` (RFC 9110 8.8.3, 13.1.1): a record's tag is its version, so that nobody undoes what somebody else
//! did meanwhile.

use crate::problem::Problem;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

/// What a change depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// `*`: whatever stands, as long as it is there.
    Any,
    /// One of these. Weak tags and tags of anybody else never match, so they are not kept.
    Versions(Vec<i64>),
}

/// More than anybody needs who saw one version.
const MOST: usize = 16;

impl Condition {
    /// `None`: nothing was said.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let broken = || {
            Problem::malformed(
                "`If-Match` must be `*` or tags in quotes, as `ETag` has them: `If-Match: \"3\"`",
            )
        };
        let mut tags = Vec::new();
        for field in headers.get_all(header::IF_MATCH) {
            let text = field.to_str().map_err(|_| broken())?.trim();
            if text == "*" {
                tags.push(None);
                continue;
            }
            let mut rest = text;
            loop {
                // 5.6.1: empty elements of a list are skipped
                rest = rest.trim_start_matches([',', ' ', '\t']);
                if rest.is_empty() {
                    break;
                }
                let (strong, opaque) = match rest.strip_prefix("W/") {
                    Some(weak) => (false, weak),
                    None => (true, rest),
                };
                // 8.8.3: what stands between the quotes may hold a comma
                let (inner, more) =
                    opaque.strip_prefix('"').and_then(|o| o.split_once('"')).ok_or_else(broken)?;
                rest = more.trim_start_matches([' ', '\t']);
                let ends = rest.is_empty() || rest.starts_with(',');
                if !ends || inner.bytes().any(|b| b <= b' ' || b == 0x7f) {
                    return Err(broken());
                }
                // 13.1.1: the strong comparison, character by character
                let version = inner.parse().ok().filter(|v: &i64| strong && v.to_string() == inner);
                tags.push(Some(version));
            }
        }
        match tags.as_slice() {
            [] if headers.contains_key(header::IF_MATCH) => Err(broken()),
            [] => Ok(None),
            [None] => Ok(Some(Self::Any)),
            // `*` stands alone
            tags if tags.len() > MOST || tags.contains(&None) => Err(broken()),
            tags => Ok(Some(Self::Versions(tags.iter().copied().flatten().flatten().collect()))),
        }
    }

    /// The version that the write must still find; `None`: whichever.
    pub(crate) fn hold(&self, version: i64) -> Result<Option<i64>, Problem> {
        match self {
            Self::Any => Ok(None),
            Self::Versions(versions) if versions.contains(&version) => Ok(Some(version)),
            Self::Versions(_) => Err(failed()),
        }
    }
}

/// RFC 9110 15.5.13
pub(crate) fn failed() -> Problem {
    let detail = "it is not what `If-Match` names any more; read it again, and repeat the change with the `ETag` that it has \
                  then if it is still what you want";
    Problem::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", detail)
}

/// RFC 6585 3
pub(crate) fn required() -> Problem {
    let detail = "say which version the change is meant for: `If-Match` with the `ETag` of the record, or `*` for whatever \
                  stands";
    Problem::new(StatusCode::PRECONDITION_REQUIRED, "precondition_required", detail)
}

pub(crate) fn tag<B>(mut response: Response<B>, version: i64) -> Response<B> {
    if let Ok(tag) = HeaderValue::try_from(format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[&str]) -> Result<Option<Condition>, StatusCode> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(header::IF_MATCH, HeaderValue::from_bytes(field.as_bytes()).unwrap());
        }
        Condition::read(&headers).map_err(|problem| problem.status)
    }

    #[test]
    fn a_condition_is_read_as_the_rfc_has_it() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["*"]), Ok(Some(Condition::Any)));
        let versions = |versions: &[i64]| Ok(Some(Condition::Versions(versions.to_vec())));
        assert_eq!(read(&["\"3\""]), versions(&[3]));
        assert_eq!(read(&[" \"3\" , \"4\""]), versions(&[3, 4]));
        assert_eq!(read(&["\"3\"", "\"4\""]), versions(&[3, 4]));
        // nothing that could match
        assert_eq!(read(&["W/\"3\""]), versions(&[]));
        assert_eq!(read(&["\"another's\", \"\""]), versions(&[]));
        assert_eq!(read(&["\"3,\",\"4\""]), versions(&[4]));
        assert_eq!(read(&["\"03\", \"+3\""]), versions(&[]));
        for broken in [
            "",
            ",",
            "3",
            "\"3",
            "3\"",
            "*, \"3\"",
            "\"3\", *",
            "\"a\"b\"",
            "w/\"3\"",
            "\u{ff}",
            "\"3\" \"4\"",
            "\"a b\"",
        ] {
            assert_eq!(read(&[broken]), Err(StatusCode::BAD_REQUEST), "{broken}");
        }
        assert_eq!(read(&["*", "*"]), Err(StatusCode::BAD_REQUEST));
        assert_eq!(read(&["\"1\",".repeat(17).as_str()]), Err(StatusCode::BAD_REQUEST));
        assert_eq!(Condition::Versions(vec![3]).hold(3), Ok(Some(3)));
        assert_eq!(Condition::Versions(vec![3]).hold(4).unwrap_err().code, "precondition_failed");
        assert_eq!(Condition::Any.hold(4), Ok(None));
    }
}
