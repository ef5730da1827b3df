use crate::key::{AttestKeys, PublicAttestKey};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        hex.bytes().map(|b| u8::try_from(char::from(b).to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// RFC 8032 7.1, test 2.
#[test]
fn it_is_ed25519() {
    let seed = bytes("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
    let keys = AttestKeys::new(&[(1, seed)]).unwrap();
    let public = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    assert_eq!(keys.public()[0].1.0.to_vec(), bytes(public));
    let signature = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                     085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
    assert_eq!(keys.sign(&[0x72]), bytes(signature));
    assert!(keys.public()[0].1.verify(&[0x72], &bytes(signature)));
}

#[test]
fn what_was_altered_or_is_of_another_key_does_not_hold() {
    let keys = AttestKeys::new(&[(1, vec![1; 32]), (3, vec![3; 32]), (2, vec![2; 32])]).unwrap();
    assert_eq!(keys.current(), 3);
    let signature = keys.sign(b"words");
    let holds = |key: &PublicAttestKey, message: &[u8], signature: &[u8]| key.verify(message, signature);
    let of = |number| keys.public().iter().find(|(known, _)| *known == number).unwrap().1;
    assert!(holds(&of(3), b"words", &signature));
    assert!(!holds(&of(2), b"words", &signature));
    assert!(!holds(&of(3), b"word", &signature));
    for n in 0..signature.len() {
        let mut altered = signature.clone();
        altered[n] ^= 1;
        assert!(!holds(&of(3), b"words", &altered), "{n}");
    }
    assert!(!holds(&of(3), b"words", &signature[..63]));
    assert!(!holds(&of(3), b"words", b""));
    assert!(!format!("{keys:?}").contains("03, 03"));
}

#[test]
fn what_is_no_key_is_refused() {
    assert!(AttestKeys::new(&[]).is_none());
    assert!(AttestKeys::new(&[(1, vec![1; 31])]).is_none());
    assert!(AttestKeys::new(&[(1, vec![1; 32]), (1, vec![2; 32])]).is_none());
}
