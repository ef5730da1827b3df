//! The canonical forms of target and authority: applying them again changes nothing, and nothing is left in them that an
//! upstream could read in another way.
#![no_main]

use countersign_core::check::path::{canonical_authority, canonical_target, is_canonical};
use http::uri::PathAndQuery;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(target) = text.parse::<PathAndQuery>()
        && let Ok(canonical) = canonical_target(&target)
    {
        let path = canonical.path();
        assert!(path.starts_with('/') && !path.contains("//") && !path.contains(['\\', ';']), "{path}");
        assert!(path.split('/').all(|segment| segment != "." && segment != ".."), "{path}");
        let hidden = ["%2e", "%2f", "%5c", "%25", "%00", "%3b"];
        assert!(!hidden.iter().any(|h| path.to_ascii_lowercase().contains(h)), "{path}");
        assert!(is_canonical(&canonical), "{canonical}");
        assert_eq!(canonical_target(&canonical).as_ref().map(PathAndQuery::as_str), Ok(canonical.as_str()));
        assert_eq!(canonical.query(), target.query(), "the query is not ours to change");
    }
    if let Ok(canonical) = canonical_authority(text) {
        assert!(!canonical.contains('@') && !canonical.ends_with('.'), "{canonical}");
        assert!(!canonical.bytes().any(|b| b.is_ascii_uppercase()), "{canonical}");
        assert_eq!(canonical_authority(&canonical).as_deref(), Ok(&*canonical));
    }
});
