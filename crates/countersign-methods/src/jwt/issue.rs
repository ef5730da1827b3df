//! The life of a signed token, over ports: minted for a session, and called back. It is kept nowhere.

use super::{
    claims,
    config::JwtConfig,
    record::{AccessToken, TYP},
    store::{JwtStore, TokenRevoked},
    verify::{self, Failure},
};
use crate::{
    principal::caller::Caller,
    session::record::SessionRecord,
    signing::{
        keys::{OpenKey, SigningKeys},
        record::KeyPurpose,
    },
};
use countersign_core::{StoreError, Timestamp};
use countersign_crypto::{Entropy, SecretString, jose::UnverifiedJwt, random_id};
use std::{sync::Arc, time::Duration};

/// 22 base62 characters are 131 bits.
const JTI_LENGTH: usize = 22;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No key signs, or the configuration names no issuer.
    #[error("nothing is signed here now")]
    NoKey,
    #[error("not a token that was signed here and is still good: {}", .0.reason())]
    NotOurs(Failure),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A new access token. Debug shows none of it.
#[derive(Debug)]
pub struct Minted {
    pub token: SecretString,
    pub expires_in: Duration,
}

#[derive(Debug)]
pub struct JwtIssuer {
    keys: Arc<SigningKeys>,
    store: Arc<dyn JwtStore>,
    config: JwtConfig,
    entropy: Arc<dyn Entropy>,
}

impl JwtIssuer {
    pub fn new(
        keys: Arc<SigningKeys>,
        store: Arc<dyn JwtStore>,
        config: JwtConfig,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { keys, store, config, entropy }
    }

    pub fn config(&self) -> &JwtConfig {
        &self.config
    }

    /// RFC 9068, for as long as the session lasts and no longer than the configuration says.
    pub fn mint(&self, session: &SessionRecord, now: Timestamp) -> Result<Minted, TokenError> {
        let issuer = self.config.issuer.clone().ok_or(TokenError::NoKey)?;
        let token = AccessToken {
            issuer,
            audiences: session.audiences.clone(),
            principal: session.principal.clone(),
            session: session.id.clone(),
            jti: random_id(&*self.entropy, JTI_LENGTH),
            scopes: session.scopes.clone(),
            parents: session.parents.clone(),
            amr: session.amr.clone(),
            authenticated_at: session.authenticated_at,
            issued_at: now,
            expires_at: (now + self.config.access).min(session.expires_at),
        };
        let signed_with = (KeyPurpose::Session, self.config.algorithm);
        let signed = self.keys.sign(signed_with, TYP, &claims::write(&token)).ok_or(TokenError::NoKey)?;
        Ok(Minted { token: SecretString::new(signed), expires_in: token.expires_at.since(now) })
    }

    /// What a good access token of ours says, and the key that signed it.
    pub fn read(&self, token: &str, now: Timestamp) -> Result<(AccessToken, Arc<str>), Failure> {
        let unverified = UnverifiedJwt::parse(token)?;
        let key = self.key_of(&unverified).ok_or(Failure::UnknownKey)?;
        let token = self.signed_with(&key, unverified, now)?;
        Ok((token, key.kid.clone()))
    }

    /// RULES 1.4: what names one of our session keys is ours to judge, whatever else it says. `None`: it names none.
    pub(super) fn key_of(&self, token: &UnverifiedJwt<'_>) -> Option<Arc<OpenKey>> {
        self.keys.verifying(KeyPurpose::Session, token.kid()?)
    }

    pub(super) fn signed_with(
        &self,
        key: &OpenKey,
        token: UnverifiedJwt<'_>,
        now: Timestamp,
    ) -> Result<AccessToken, Failure> {
        let issuer = self.config.issuer.as_deref().ok_or(Failure::Issuer)?;
        verify::access_token(&token.verify(key.verifying())?, issuer, now)
    }

    /// This one token: by its text, since only what was signed here is remembered.
    pub async fn revoke(
        &self,
        token: &str,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<(AccessToken, TokenRevoked), TokenError> {
        let (token, _) = self.read(token, now).map_err(TokenError::NotOurs)?;
        let revoked = self.revoke_id(&token.jti, token.expires_at, caller, now).await?;
        Ok((token, revoked))
    }

    /// This one token, by its `jti`; `until`: its `exp`.
    pub async fn revoke_id(
        &self,
        jti: &str,
        until: Timestamp,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<TokenRevoked, TokenError> {
        let event = caller.event(now, "token.revoke", jti, Vec::new());
        // RULES 2.5: longer than the token, by what clocks may differ
        let until = until + verify::LEEWAY;
        Ok(self.store.revoke_token(jti, now, until, event).await?)
    }
}
