//! An issuer of somebody else, on this machine: its metadata, its keys, and the tokens that it signs.

use countersign_core::Timestamp;
use countersign_crypto::{
    jose::{Algorithm, sign},
    key::SigningKey,
};
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

pub(crate) fn new_key() -> SigningKey {
    SigningKey::generate(Algorithm::Es256).unwrap()
}

pub(crate) fn key_set(key: &SigningKey) -> String {
    json!({"keys": [key.verifying_key().to_jwk().unwrap()]}).to_string()
}

/// What `iss` says of `sub`, good for five minutes.
pub(crate) fn claims(iss: &str, sub: &str, aud: &str, now: Timestamp) -> Value {
    let now = now.as_seconds();
    json!({
        "iss": iss, "sub": sub, "aud": aud, "iat": now, "exp": now + 300, "client_id": "shop",
        "scope": "orders:read countersign:keys", "jti": format!("{sub}-{now}"),
    })
}

/// RFC 9068.
pub(crate) fn signed(key: &SigningKey, claims: &Value) -> String {
    sign(key, "at+jwt", claims.as_object().unwrap()).unwrap()
}

/// Served until the runtime ends.
pub(crate) struct Issuer {
    /// As `iss` says it.
    pub(crate) url: String,
    pub(crate) key: SigningKey,
    is_up: Arc<AtomicBool>,
}

impl Issuer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/realms/staff", listener.local_addr().unwrap());
        let this = Self { url: url.clone(), key: new_key(), is_up: Arc::new(AtomicBool::new(true)) };
        let metadata = json!({"issuer": url, "jwks_uri": format!("{url}/keys")}).to_string();
        let (keys, is_up) = (key_set(&this.key), this.is_up.clone());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 4096];
                let read = stream.read(&mut head).await.unwrap_or_default();
                let head = String::from_utf8_lossy(&head[..read]);
                let (status, body) = match head.split(' ').nth(1) {
                    _ if !is_up.load(Ordering::SeqCst) => ("500 Down", ""),
                    Some("/realms/staff/.well-known/openid-configuration") => ("200 OK", &*metadata),
                    Some("/realms/staff/keys") => ("200 OK", &*keys),
                    _ => ("404 Not Found", ""),
                };
                let length = body.len();
                let fields = format!("connection: close\r\ncontent-length: {length}");
                let _ =
                    stream.write_all(format!("HTTP/1.1 {status}\r\n{fields}\r\n\r\n{body}").as_bytes()).await;
            }
        });
        this
    }

    /// It answers, and with 500 from now on; or as ever.
    pub(crate) fn is_up(&self, so: bool) {
        self.is_up.store(so, Ordering::SeqCst);
    }
}
