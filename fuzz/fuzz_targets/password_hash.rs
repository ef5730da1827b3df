//! The parser of stored password hashes, and what an import takes over: no panic, the text kept as it is, and nothing
//! imported that is not read back.
#![no_main]

use countersign_crypto::{
    SystemEntropy,
    password::{Argon2Parameters, LONGEST_HASH, PasswordHash, imported},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(hash) = PasswordHash::parse(text) {
        assert_eq!(hash.as_str(), text);
        assert!(text.len() <= LONGEST_HASH && text.is_ascii());
    }
    let Ok(cheap) = Argon2Parameters::new(8192, 1, 1) else { return };
    if let Ok(hash) = imported(text, &cheap, &SystemEntropy) {
        let read = PasswordHash::parse(hash.as_str());
        assert!(read.is_ok_and(|read| read == hash && read.scheme() == hash.scheme()));
    }
});
