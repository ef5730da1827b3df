//! `Authorization`: whatever is accepted is visible ASCII with a scheme, and reads the same when written again.
#![no_main]

use countersign_core::authorization_header::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(header) = parse(data) else { return };
    assert!(!header.scheme.is_empty() && !header.credentials.is_empty());
    assert!(header.credentials.iter().all(|b| matches!(b, b' '..=b'~')));
    let upper = header.scheme.to_ascii_uppercase();
    assert!(header.scheme_is(&upper));
    let written = [header.scheme.as_bytes(), b" ", header.credentials].concat();
    assert!(parse(&written) == Ok(header), "it reads otherwise when written again");
});
