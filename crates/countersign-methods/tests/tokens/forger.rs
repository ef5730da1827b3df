//! Tokens word by word: whatever header and claims, signed by a key that was stolen or by one of the forger's own.

use crate::house::{House, ISSUER, RESOURCE};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign_crypto::{jose::Algorithm, key::SigningKey};
use countersign_methods::{
    jwt::claims,
    session::{record::SessionKind, record::SessionRecord},
    signing::record::KeyPurpose,
};
use serde_json::{Map, Value, json};

pub(crate) struct Forger {
    pub(crate) key: SigningKey,
    pub(crate) kid: String,
    pub(crate) claims: Map<String, Value>,
    pub(crate) record: SessionRecord,
}

pub(crate) fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn decoded(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

impl Forger {
    /// Who stole the key of sessions, and knows what a good token says.
    pub(crate) async fn at(house: &House) -> Self {
        let begun = house.begin(SessionKind::Native).await;
        let minted = house.tokens.mint(&begun.record, house.now()).unwrap();
        let (token, kid) = house.tokens.read(minted.token.expose(), house.now()).unwrap();
        let claims = claims::write(&token);
        assert_eq!((&claims["iss"], &claims["aud"]), (&json!(ISSUER), &json!(RESOURCE)));
        let key = house.stolen(KeyPurpose::Session).await;
        Self { key, kid: kid.to_string(), claims, record: begun.record }
    }

    pub(crate) fn header(&self) -> Map<String, Value> {
        let header = json!({"alg": "ES256", "kid": self.kid, "typ": "at+jwt"});
        header.as_object().unwrap().clone()
    }

    pub(crate) fn with_header(&self, change: impl FnOnce(&mut Map<String, Value>)) -> String {
        let mut header = self.header();
        change(&mut header);
        self.signed(Value::Object(header).to_string(), self.payload())
    }

    pub(crate) fn with_claims(&self, change: impl FnOnce(&mut Map<String, Value>)) -> String {
        let mut claims = self.claims.clone();
        change(&mut claims);
        self.signed(Value::Object(self.header()).to_string(), Value::Object(claims).to_string())
    }

    pub(crate) fn with_claim(&self, name: &str, value: Value) -> String {
        self.with_claims(|claims| {
            claims.insert(name.to_owned(), value);
        })
    }

    pub(crate) fn without_claim(&self, name: &str) -> String {
        self.with_claims(|claims| {
            claims.remove(name).unwrap();
        })
    }

    pub(crate) fn with_member(&self, name: &str, value: Value) -> String {
        self.with_header(|header| {
            header.insert(name.to_owned(), value);
        })
    }

    pub(crate) fn payload(&self) -> String {
        Value::Object(self.claims.clone()).to_string()
    }

    pub(crate) fn good(&self) -> String {
        self.with_header(|_| {})
    }

    pub(crate) fn signed(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        self.signed_by(&self.key, header, payload)
    }

    pub(crate) fn signed_by(
        &self,
        key: &SigningKey,
        header: impl AsRef<[u8]>,
        payload: impl AsRef<[u8]>,
    ) -> String {
        self.sealed(key, &encoded(header), &encoded(payload))
    }

    /// What is encoded already, however badly.
    pub(crate) fn sealed(&self, key: &SigningKey, header: &str, payload: &str) -> String {
        let signed = format!("{header}.{payload}");
        let signature = encoded(key.sign(signed.as_bytes()).unwrap());
        format!("{signed}.{signature}")
    }
}

pub(crate) fn own_key() -> SigningKey {
    SigningKey::generate(Algorithm::Es256).unwrap()
}

/// Of P-256 (SEC 2 2.4.2).
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// n - s.
pub(crate) fn other_s(s: &[u8]) -> Vec<u8> {
    let mut borrow = 0_i16;
    let mut out = vec![0; 32];
    for at in (0..32).rev() {
        let difference = i16::from(ORDER[at]) - i16::from(s[at]) - borrow;
        borrow = i16::from(difference < 0);
        out[at] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    out
}

/// A token with another signature in the place of its own.
pub(crate) fn resigned(token: &str, change: impl FnOnce(&[u8], &[u8]) -> Vec<u8>) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = decoded(signature);
    let (r, s) = signature.split_at(32);
    format!("{signed}.{}", encoded(change(r, s)))
}

/// An INTEGER of DER.
fn integer(number: &[u8]) -> Vec<u8> {
    let mut bytes: Vec<u8> = number.iter().copied().skip_while(|byte| *byte == 0).collect();
    if bytes.first().is_none_or(|first| first & 0x80 != 0) {
        bytes.insert(0, 0);
    }
    [vec![2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

pub(crate) fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let both = [integer(r), integer(s)].concat();
    [vec![0x30, u8::try_from(both.len()).unwrap()], both].concat()
}
