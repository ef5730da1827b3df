//! Cookie and refresh token: known by their mark, and each for its own place.

use super::super::token::{SessionTokens, TokenKind};
use crate::fakes::Sequence;
use countersign_core::CredentialId;
use countersign_crypto::token::mark::MarkKeys;
use proptest::prelude::*;
use std::sync::Arc;

fn tokens(numbered: &[(u32, u8)]) -> SessionTokens {
    let marks = numbered.iter().map(|(number, byte)| (*number, [*byte; 32])).collect();
    SessionTokens::new("cs", Arc::new(MarkKeys::new(marks).unwrap())).unwrap()
}

fn id() -> CredentialId {
    CredentialId::new("0aB3dE6gH9jK")
}

#[test]
fn each_is_read_in_its_own_place_alone() {
    let tokens = tokens(&[(1, 1)]);
    for (kind, other, word) in [
        (TokenKind::Cookie, TokenKind::Refresh, "cs_session_"),
        (TokenKind::Refresh, TokenKind::Cookie, "cs_refresh_"),
    ] {
        let made = tokens.generate(kind, &id(), &Sequence::default());
        let text = made.token.expose();
        assert!(text.starts_with(&format!("{word}0aB3dE6gH9jK")), "{text}");
        assert_eq!(text.len(), 11 + 12 + 43 + 6 + 1 + 22);
        let read = tokens.read(kind, text.as_bytes()).unwrap();
        assert_eq!((read.id, read.digest), (id(), made.digest));
        assert_eq!(tokens.read(other, text.as_bytes()), None);
        assert!(tokens.is_prefix_of(kind, text.as_bytes()) && !tokens.is_prefix_of(other, text.as_bytes()));
    }
}

#[test]
fn every_change_and_every_cut_is_refused() {
    let tokens = tokens(&[(1, 1)]);
    let made = tokens.generate(TokenKind::Refresh, &id(), &Sequence::default());
    let text = made.token.expose().as_bytes();
    for at in 0..text.len() {
        assert_eq!(tokens.read(TokenKind::Refresh, &text[..at]), None, "{at}");
        for bit in 0..8 {
            let mut altered = text.to_vec();
            altered[at] ^= 1 << bit;
            assert_eq!(tokens.read(TokenKind::Refresh, &altered), None, "{at} {bit}");
        }
    }
    for more in ["0", ".", "\n", "\0"] {
        let longer = [text, more.as_bytes()].concat();
        assert_eq!(tokens.read(TokenKind::Refresh, &longer), None, "{more:?}");
    }
}

/// A mark of another deployment, or of a key that is gone: nobody is asked.
#[test]
fn a_mark_that_is_not_ours_is_none() {
    let (old, both, new) = (tokens(&[(1, 1)]), tokens(&[(1, 1), (2, 2)]), tokens(&[(2, 2)]));
    let made = old.generate(TokenKind::Refresh, &id(), &Sequence::default());
    let text = made.token.expose().as_bytes();
    // the same digest, whoever marks: a rotated keyring ends no session
    assert_eq!(both.read(TokenKind::Refresh, text).unwrap().digest, made.digest);
    assert_eq!(new.read(TokenKind::Refresh, text), None);
    assert!(SessionTokens::new("c_s", Arc::new(MarkKeys::new(vec![(1, [1; 32])]).unwrap())).is_err());
}

#[test]
fn two_of_one_session_are_two() {
    let (tokens, entropy) = (tokens(&[(1, 1)]), Sequence::default());
    let one = tokens.generate(TokenKind::Refresh, &id(), &entropy);
    let two = tokens.generate(TokenKind::Refresh, &id(), &entropy);
    assert_ne!(one.token.expose(), two.token.expose());
    assert_ne!(one.digest, two.digest);
    let shown =
        format!("{one:?} {tokens:?} {:?}", tokens.read(TokenKind::Refresh, one.token.expose().as_bytes()));
    let secret: String = one.token.expose().chars().skip(23).take(10).collect();
    assert!(!shown.contains(&secret), "{shown}");
}

proptest! {
    #[test]
    fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        for kind in [TokenKind::Cookie, TokenKind::Refresh] {
            prop_assert!(tokens(&[(1, 1)]).read(kind, &bytes).is_none());
            let known = [b"cs_refresh_0aB3dE6gH9jK".as_slice(), &bytes].concat();
            prop_assert!(tokens(&[(1, 1)]).read(kind, &known).is_none());
        }
    }
}
