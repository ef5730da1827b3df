use crate::{
    SystemEntropy,
    key::{SealError, SealKeys, open_under, seal_under},
};
use proptest::prelude::*;

const CONTEXT: [&[u8]; 3] = [b"signing key", b"session", b"kid"];
const SECRET: &[u8] = b"thirty-two bytes of pure chance!";

fn keys(numbered: &[(u32, u8)]) -> SealKeys {
    SealKeys::new(numbered.iter().map(|(number, byte)| (*number, [*byte; 32])).collect()).unwrap()
}

fn opened(keys: &SealKeys, context: &[&[u8]], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    keys.open(context, sealed).map(|plain| plain.expose().to_vec())
}

#[test]
fn what_is_sealed_comes_back() {
    let seal = keys(&[(1, 1)]);
    for plain in [b"".as_slice(), b"x", b"a private key", &[0; 4096]] {
        let sealed = seal.seal(&CONTEXT, plain, &SystemEntropy).unwrap();
        assert_eq!(sealed.len(), 4 + 12 + plain.len() + 16);
        assert_eq!(opened(&seal, &CONTEXT, &sealed), Ok(plain.to_vec()));
        assert!(plain.len() < 8 || !sealed.windows(plain.len()).any(|part| part == plain));
        // never twice the same, so that nobody sees that it is the same
        assert_ne!(sealed, seal.seal(&CONTEXT, plain, &SystemEntropy).unwrap());
    }
}

/// What was sealed as one thing never opens as another, whoever moves it there.
#[test]
fn it_opens_in_its_own_context_alone() {
    let seal = keys(&[(1, 1)]);
    let sealed = seal.seal(&[b"ab", b"c"], b"plain", &SystemEntropy).unwrap();
    let others: [&[&[u8]]; 9] = [
        &[b"a", b"bc"],
        &[b"abc"],
        &[b"ab", b"c", b""],
        &[b"", b"ab", b"c"],
        &[b"ab", b"", b"c"],
        &[b"c", b"ab"],
        &[b"ab", b"C"],
        &[b"ab"],
        &[],
    ];
    for other in others {
        assert_eq!(opened(&seal, other, &sealed), Err(SealError::Broken), "{other:?}");
    }
    // nor where a part holds what the lengths between two look like
    let glued = [b"ab".as_slice(), &1_u64.to_be_bytes(), b"c"].concat();
    assert_eq!(opened(&seal, &[&glued], &sealed), Err(SealError::Broken));
    assert_eq!(opened(&seal, &[b"ab", b"c"], &sealed), Ok(b"plain".to_vec()));
}

#[test]
fn a_change_in_any_bit_is_found() {
    let seal = keys(&[(1, 1)]);
    let sealed = seal.seal(&CONTEXT, b"plain", &SystemEntropy).unwrap();
    for bit in 0..sealed.len() * 8 {
        let mut altered = sealed.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        let error = opened(&seal, &CONTEXT, &altered).unwrap_err();
        match bit / 8 {
            // the number: a seal that is not there
            0..4 => assert!(matches!(error, SealError::Unknown(_)), "{bit}"),
            _ => assert_eq!(error, SealError::Broken, "{bit}"),
        }
    }
}

#[test]
fn nothing_shorter_or_longer_opens() {
    let seal = keys(&[(1, 1)]);
    let sealed = seal.seal(&CONTEXT, b"plain", &SystemEntropy).unwrap();
    for end in 0..sealed.len() {
        assert_eq!(opened(&seal, &CONTEXT, &sealed[..end]), Err(SealError::Broken), "{end}");
    }
    assert_eq!(opened(&seal, &CONTEXT, &[&sealed[..], &[0]].concat()), Err(SealError::Broken));
    assert_eq!(SealKeys::number_of(&sealed), Some(1));
    assert_eq!((SealKeys::number_of(&sealed[..3]), SealKeys::number_of(b"")), (None, None));
}

/// RULES 4.3: a seal that something names and the keyring lacks is the configuration's fault, and says which.
#[test]
fn the_highest_seals_and_the_others_open() {
    let (old, both, new) = (keys(&[(1, 1)]), keys(&[(2, 2), (1, 1)]), keys(&[(2, 2)]));
    let sealed = old.seal(&CONTEXT, b"plain", &SystemEntropy).unwrap();
    assert_eq!((both.current(), both.has(1), both.has(3)), (Some(2), true, false));
    assert_eq!(opened(&both, &CONTEXT, &sealed), Ok(b"plain".to_vec()));
    assert_eq!(opened(&new, &CONTEXT, &sealed), Err(SealError::Unknown(1)));
    let sealed = both.seal(&CONTEXT, b"plain", &SystemEntropy).unwrap();
    assert_eq!(SealKeys::number_of(&sealed), Some(2));
    assert_eq!(opened(&old, &CONTEXT, &sealed), Err(SealError::Unknown(2)));
    // of the same number, and another key
    assert_eq!(opened(&keys(&[(2, 9)]), &CONTEXT, &sealed), Err(SealError::Broken));
    // one that says it is of another number that is there too
    let renamed = [&1_u32.to_be_bytes(), &sealed[4..]].concat();
    assert_eq!(opened(&both, &CONTEXT, &renamed), Err(SealError::Broken));
}

#[test]
fn without_a_seal_nothing_is_sealed_and_nothing_opens() {
    let none = keys(&[]);
    assert_eq!(none.current(), None);
    assert_eq!(none.seal(&CONTEXT, b"plain", &SystemEntropy), Err(SealError::NoSeal));
    let sealed = keys(&[(1, 1)]).seal(&CONTEXT, b"plain", &SystemEntropy).unwrap();
    assert_eq!(opened(&none, &CONTEXT, &sealed), Err(SealError::Unknown(1)));
    assert!(SealKeys::new(vec![(1, [1; 32]), (2, [2; 32]), (1, [3; 32])]).is_none(), "a number stands twice");
}

/// RULES 4.2: whoever does not bring the secret does not open it.
#[test]
fn what_is_sealed_under_a_secret_opens_under_that_secret() {
    let sealed = seal_under(SECRET, &CONTEXT, b"plain", &SystemEntropy).unwrap();
    let open = |secret: &[u8], context: &[&[u8]], sealed: &[u8]| {
        open_under(secret, context, sealed).map(|plain| plain.expose().to_vec())
    };
    assert_eq!(open(SECRET, &CONTEXT, &sealed), Ok(b"plain".to_vec()));
    let longer = [SECRET, b"!"].concat();
    for other in [b"".as_slice(), &SECRET[1..], &longer, b"another of just as many bytes!!!"] {
        assert_eq!(open(other, &CONTEXT, &sealed), Err(SealError::Broken), "{other:?}");
    }
    assert_eq!(open(SECRET, &CONTEXT[..2], &sealed), Err(SealError::Broken));
    for end in 0..sealed.len() {
        assert_eq!(open(SECRET, &CONTEXT, &sealed[..end]), Err(SealError::Broken), "{end}");
    }
    for bit in 0..sealed.len() * 8 {
        let mut altered = sealed.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(open(SECRET, &CONTEXT, &altered), Err(SealError::Broken), "{bit}");
    }
}

#[test]
fn debug_shows_no_key() {
    let shown = format!("{:?}", keys(&[(7, 0xee)]));
    assert_eq!(shown, "SealKeys(current Some(7), ..)");
    let sealed = keys(&[(1, 1)]).seal(&CONTEXT, b"\xee\xee", &SystemEntropy).unwrap();
    let plain = keys(&[(1, 1)]).open(&CONTEXT, &sealed).unwrap();
    assert!(!format!("{plain:?}").contains("238"), "{plain:?}");
}

proptest! {
    #[test]
    fn whatever_is_opened_nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let known = [&1_u32.to_be_bytes(), &bytes[..]].concat();
        prop_assert!(keys(&[(1, 1)]).open(&CONTEXT, &known).is_err());
        prop_assert!(open_under(SECRET, &CONTEXT, &bytes).is_err());
    }
}
