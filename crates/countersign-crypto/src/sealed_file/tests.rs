use super::{CHUNK, SealKey, SealedError, SealedReader, SealedWriter, TAG, Work};
use crate::{SecretString, SystemEntropy};
use std::io::{Read, Write};

const HEAD: usize = 21 + 1 + 12 + 32 + 32;

fn key() -> SealKey {
    SealKey::parse(SealKey::generate(&SystemEntropy).expose()).unwrap()
}

/// Little work, so that the tests are quick.
fn passphrase(words: &str) -> SealKey {
    let work = Work { memory: 64, passes: 1, lanes: 1 };
    SealKey::Passphrase { passphrase: SecretString::new(words.into()), work }
}

fn sealed(key: &SealKey, plain: &[u8]) -> Vec<u8> {
    let mut writer = SealedWriter::new(Vec::new(), key, &SystemEntropy).unwrap();
    writer.write_all(plain).unwrap();
    writer.finish().unwrap()
}

fn opened(key: &SealKey, sealed: &[u8]) -> Result<Vec<u8>, String> {
    let mut reader = SealedReader::new(sealed, key).map_err(|e| e.to_string())?;
    let mut plain = Vec::new();
    reader.read_to_end(&mut plain).map_err(|e| e.to_string())?;
    Ok(plain)
}

fn plain(length: usize) -> Vec<u8> {
    (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect()
}

#[test]
fn what_was_sealed_opens_at_every_length_around_a_chunk() {
    let key = key();
    for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7] {
        let file = sealed(&key, &plain(length));
        assert_eq!(file.len(), HEAD + length + TAG * length.div_ceil(CHUNK).max(1));
        assert_eq!(opened(&key, &file).unwrap(), plain(length), "{length}");
    }
    let key = passphrase("correct horse battery");
    assert_eq!(opened(&key, &sealed(&key, b"secret")).unwrap(), b"secret");
}

#[test]
fn nothing_of_the_content_stands_in_the_file_and_no_two_are_alike() {
    let key = key();
    let words = b"a word that would be seen".repeat(10);
    let (one, other) = (sealed(&key, &words), sealed(&key, &words));
    assert!(!one.windows(6).any(|w| w == &b"a word"[..]));
    assert_ne!(one[21..], other[21..]);
}

#[test]
fn another_key_or_passphrase_does_not_open_it() {
    let file = sealed(&key(), b"x");
    assert!(opened(&key(), &file).unwrap_err().contains("is another one"));
    assert!(opened(&passphrase("correct horse battery"), &file).unwrap_err().contains("with a key"));
    let file = sealed(&passphrase("correct horse battery"), b"x");
    assert!(opened(&passphrase("correct horse batterz"), &file).unwrap_err().contains("is another one"));
    assert!(opened(&key(), &file).unwrap_err().contains("with a passphrase"));
}

#[test]
fn one_flipped_bit_anywhere_is_noticed() {
    let key = key();
    let file = sealed(&key, &plain(2 * CHUNK + 100));
    let chunk = |n: usize| HEAD + n * (CHUNK + TAG);
    let mut places: Vec<usize> = (0..HEAD).collect();
    for n in 0..3 {
        let end = (chunk(n + 1)).min(file.len());
        places.extend([chunk(n), chunk(n) + 50, end - TAG - 1, end - TAG, end - 1]);
    }
    for place in places {
        let mut altered = file.clone();
        altered[place] ^= 1;
        let refused = opened(&key, &altered).unwrap_err();
        if place >= HEAD {
            let number = (place - HEAD) / (CHUNK + TAG) + 1;
            assert_eq!(refused, format!("chunk {number} was altered or is not in its place"), "at {place}");
        }
    }
}

#[test]
fn a_file_cut_anywhere_is_noticed() {
    let key = key();
    let file = sealed(&key, &plain(2 * CHUNK + 100));
    for length in (0..HEAD).chain([
        HEAD,
        HEAD + 1,
        HEAD + CHUNK,
        HEAD + CHUNK + TAG,
        HEAD + CHUNK + TAG + 1,
        HEAD + 2 * (CHUNK + TAG),
        file.len() - TAG,
        file.len() - 1,
    ]) {
        opened(&key, &file[..length]).expect_err(&length.to_string());
    }
    // at the border of a chunk the reason can be told
    for (n, length) in [(0, HEAD), (1, HEAD + CHUNK + TAG), (2, HEAD + 2 * (CHUNK + TAG))] {
        let refused = opened(&key, &file[..length]).unwrap_err();
        assert_eq!(refused, format!("it was cut short after chunk {n}"), "at {length}");
    }
}

#[test]
fn chunks_that_are_moved_doubled_left_out_or_added_are_noticed() {
    let key = key();
    let file = sealed(&key, &plain(3 * CHUNK));
    let other = sealed(&key, &plain(3 * CHUNK));
    let (head, body) = file.split_at(HEAD);
    let chunks: Vec<&[u8]> = body.chunks(CHUNK + TAG).collect();
    let foreign = &other[HEAD..HEAD + CHUNK + TAG];
    for order in [
        vec![chunks[1], chunks[0], chunks[2]],
        vec![chunks[0], chunks[0], chunks[1], chunks[2]],
        vec![chunks[0], chunks[2]],
        vec![chunks[0], chunks[1], chunks[2], chunks[2]],
        vec![chunks[0], chunks[1], chunks[2], b"x"],
        vec![foreign, chunks[1], chunks[2]],
    ] {
        let altered = [head, &order.concat()].concat();
        let refused = opened(&key, &altered).unwrap_err();
        assert!(refused.contains("not in its place"), "{refused}");
    }
}

#[test]
fn a_file_that_asks_for_too_much_memory_is_refused_at_once() {
    let mut file = sealed(&passphrase("correct horse battery"), b"x");
    file[22..26].copy_from_slice(&u32::MAX.to_be_bytes());
    let refused = SealedReader::new(&file[..], &passphrase("correct horse battery")).unwrap_err();
    assert!(matches!(refused, SealedError::Unreasonable), "{refused}");
    for text in ["", "countersign sealed 2\n", "SQLite format 3\0"] {
        let refused = SealedReader::new(text.as_bytes(), &key()).unwrap_err();
        assert!(matches!(refused, SealedError::NotSealed), "{refused}");
    }
}

#[test]
fn a_short_passphrase_and_what_is_no_key_are_refused() {
    assert!(SealKey::passphrase(SecretString::new("eleven char".into())).is_none());
    assert!(SealKey::passphrase(SecretString::new("twelve chars".into())).is_some());
    let good = SealKey::generate(&SystemEntropy);
    let good = good.expose();
    for text in [
        "",
        "countersign-backup-key-1",
        good.get(..good.len() - 3).unwrap(),
        &good.replace('-', "_"),
        &format!("{good}00"),
    ] {
        assert!(SealKey::parse(text).is_none(), "{text}");
    }
    assert!(!format!("{:?}", SealKey::parse(good)).contains(good.get(30..40).unwrap()));
}

/// RFC 9106 5.3 has a secret and associated data; this is the reference implementation's own vector without them.
#[test]
fn the_stretching_is_argon2id() {
    let params = argon2::Params::new(65536, 2, 1, Some(32)).unwrap();
    let mut out = [0; 32];
    argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params)
        .hash_password_into(b"password", b"somesalt", &mut out)
        .unwrap();
    let hex: String = out.iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7");
}
