use crate::attributes::{HeadError, MAX_FIELDS, MAX_HEAD, MAX_TARGET, admit_head};
use http::{Request, Version, request::Parts};

fn parts(method: &str, target: &str, version: Version, fields: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(target).version(version);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn head(fields: &[(&str, &str)]) -> Result<(), HeadError> {
    admit_head(&parts("GET", "/a", Version::HTTP_11, fields)).map(drop)
}

const HOST: (&str, &str) = ("host", "api.example");

#[test]
fn m2_6_fields_that_can_be_read_in_two_ways() {
    for (fields, expected) in [
        (&[HOST][..], Ok(())),
        (&[], Err(HeadError::NoHost)),
        (&[("host", "")], Err(HeadError::NoHost)),
        (&[HOST, HOST], Err(HeadError::DoubledHost)),
        (&[("host", "a\u{e9}.example")], Err(HeadError::BadHost)),
        (&[HOST, ("remote_user", "x")], Err(HeadError::FieldName)),
        (&[HOST, ("transfer-encoding", "chunked")], Ok(())),
        (&[HOST, ("transfer-encoding", " Chunked ")], Ok(())),
        (&[HOST, ("transfer-encoding", "gzip, chunked")], Err(HeadError::TransferCoding)),
        (&[HOST, ("transfer-encoding", "chunked, chunked")], Err(HeadError::TransferCoding)),
        (&[HOST, ("transfer-encoding", "identity")], Err(HeadError::TransferCoding)),
        (&[HOST, ("transfer-encoding", "chunked;a=b")], Err(HeadError::TransferCoding)),
        (&[HOST, ("transfer-encoding", "")], Err(HeadError::TransferCoding)),
        (
            &[HOST, ("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
            Err(HeadError::TransferCoding),
        ),
        (&[HOST, ("content-length", "3"), ("transfer-encoding", "chunked")], Err(HeadError::Framing)),
        (&[HOST, ("content-length", "3")], Ok(())),
        (&[HOST, ("content-length", "3"), ("content-length", "3")], Err(HeadError::Framing)),
        (&[HOST, ("content-length", "+3")], Err(HeadError::Framing)),
        (&[HOST, ("content-length", "3, 3")], Err(HeadError::Framing)),
        (&[HOST, ("content-length", "")], Err(HeadError::Framing)),
        (&[HOST, ("upgrade", "websocket")], Ok(())),
        (&[HOST, ("upgrade", "h2c")], Err(HeadError::CleartextUpgrade)),
        (&[HOST, ("upgrade", "websocket,H2C ")], Err(HeadError::CleartextUpgrade)),
        (&[HOST, ("upgrade", "a"), ("upgrade", "h2c")], Err(HeadError::CleartextUpgrade)),
    ] {
        assert_eq!(head(fields), expected, "{fields:?}");
    }
}

#[test]
fn m2_6_targets_and_authorities() {
    use HeadError::{HostMismatch, NoHost, TargetForm, Trace, Tunnel};
    let (one, two) = (Version::HTTP_11, Version::HTTP_2);
    for (method, target, version, host, expected) in [
        ("GET", "/a?b", one, Some("api.example"), Ok("api.example")),
        ("GET", "http://api.example/a", one, Some("API.example"), Ok("API.example")),
        ("GET", "http://api.example", one, Some("api.example"), Ok("api.example")),
        ("GET", "http://api.example:80/a", one, Some("api.example"), Err(HostMismatch)),
        ("GET", "http://other.example/a", one, Some("api.example"), Err(HostMismatch)),
        ("GET", "http://u@api.example/a", one, Some("api.example"), Err(HostMismatch)),
        // only Host names the authority in HTTP/1.1
        ("GET", "http://api.example/a", one, None, Err(NoHost)),
        ("GET", "ftp://api.example/a", one, Some("api.example"), Err(TargetForm)),
        ("GET", "api.example", one, Some("api.example"), Err(TargetForm)),
        ("OPTIONS", "*", one, Some("api.example"), Err(TargetForm)),
        ("CONNECT", "api.example:443", one, Some("api.example:443"), Err(Tunnel)),
        ("TRACE", "/a", one, Some("api.example"), Err(Trace)),
        ("GET", "https://api.example/a", two, None, Ok("api.example")),
        ("GET", "https://api.example/a", two, Some("api.example"), Ok("api.example")),
        ("GET", "https://api.example/a", two, Some("other.example"), Err(HostMismatch)),
        ("GET", "/a", two, None, Err(NoHost)),
        ("GET", "/a", two, Some("api.example"), Ok("api.example")),
    ] {
        let fields: Vec<(&str, &str)> = host.map(|h| ("host", h)).into_iter().collect();
        let parts = parts(method, target, version, &fields);
        let admitted = admit_head(&parts);
        let authority = admitted.as_ref().map(|h| h.authority()).map_err(|e| *e);
        assert_eq!(authority, expected, "{method} {target} {version:?} {host:?}");
    }
}

#[test]
fn heads_have_an_end() {
    let names: Vec<String> = (0..=MAX_FIELDS).map(|n| format!("x-{n}")).collect();
    let mut fields: Vec<(&str, &str)> = names.iter().map(|n| (n.as_str(), "1")).collect();
    fields[0] = HOST;
    assert_eq!(head(&fields), Err(HeadError::TooManyFields));
    fields.pop();
    assert_eq!(head(&fields), Ok(()));

    // target, name, value and the four separators of each field
    let rest = 2 + "host".len() + "api.example".len() + 4 + "x".len() + 4;
    let fits = "v".repeat(MAX_HEAD - rest);
    assert_eq!(head(&[HOST, ("x", &fits)]), Ok(()));
    assert_eq!(head(&[HOST, ("x", &format!("{fits}v"))]), Err(HeadError::HeadTooLarge));

    let target = format!("/{}", "a".repeat(MAX_TARGET - 1));
    assert!(admit_head(&parts("GET", &target, Version::HTTP_11, &[HOST])).is_ok());
    let longer = admit_head(&parts("GET", &format!("{target}a"), Version::HTTP_11, &[HOST]));
    assert_eq!(longer.map(drop), Err(HeadError::TargetTooLong));
}
