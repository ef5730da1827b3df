//! People who come from another product with the hashes of their passwords: all of a list or none of it.

use super::{BasicError, BasicIssuer, version};
use crate::{
    basic::{
        record::{PasswordRecord, Person},
        store::ImportedPerson,
    },
    password::normal::{UserName, UserNameError},
    principal::caller::Caller,
};
use countersign_core::{
    PrincipalId, ScopeSet, StoreError, Timestamp,
    principal::{Group, Principal, PrincipalKind, PrincipalName},
};
use countersign_crypto::{
    SecretString,
    password::{self, ImportError},
    random_id,
};
use std::{collections::HashMap, fmt};

/// One person of another product. Debug shows no hash.
#[derive(Clone)]
pub struct ForeignPerson {
    pub name: String,
    pub hash: SecretString,
}

impl fmt::Debug for ForeignPerson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForeignPerson").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How people are imported.
#[derive(Debug, Clone, Default)]
pub struct ImportPeople {
    /// Of those who are not here yet.
    pub scopes: ScopeSet,
    pub groups: Vec<Group>,
    /// Who has a password here already keeps it; otherwise it is a fault.
    pub skip_existing: bool,
    /// Everything is looked at, and nothing written.
    pub dry_run: bool,
}

/// What became of one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Somebody new.
    Made(PrincipalId, &'static str),
    /// Somebody who was here and had no password; under what kind of hash it came.
    Given(PrincipalId, &'static str),
    Existed(PrincipalId),
}

/// Why nobody was imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportPeopleError {
    /// Each bad row by its place, counted from 0.
    #[error("{} of the people cannot be imported", .0.len())]
    Rows(Vec<(usize, RowError)>),
    #[error(transparent)]
    Refused(#[from] BasicError),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    #[error("{0}")]
    Name(#[from] UserNameError),
    #[error("a user name here is 1 to 64 of `a-z 0-9 . _ - @`, first a letter or digit")]
    Alphabet,
    #[error("it is the same name as row {0}")]
    Doubled(usize),
    #[error("the name is a service's")]
    NotAUser,
    #[error("there is somebody of that name, with a password")]
    Exists,
    #[error("{0}")]
    Hash(#[from] ImportError),
}

impl BasicIssuer {
    /// People with hashes of another product, all of them or none.
    pub async fn import_people(
        &self,
        people: Vec<ForeignPerson>,
        how: ImportPeople,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Vec<Outcome>, ImportPeopleError> {
        self.may_grant(&how.scopes, caller)?;
        let mut seen = HashMap::new();
        let mut faults = Vec::new();
        let mut outcomes = Vec::with_capacity(people.len());
        let mut write = Vec::with_capacity(people.len());
        for (row, person) in people.into_iter().enumerate() {
            let judged = self.import_person(row, person, &how, &mut seen, caller, now).await;
            match judged {
                Ok((outcome, person)) => {
                    outcomes.push(outcome);
                    write.extend(person);
                }
                Err(Ok(fault)) => faults.push((row, fault)),
                Err(Err(refused)) => return Err(refused.into()),
            }
        }
        if !faults.is_empty() {
            return Err(ImportPeopleError::Rows(faults));
        }
        if !how.dry_run && !write.is_empty() {
            self.store().import_people(write).await.map_err(|error| match error {
                StoreError::Conflict(_) => BasicError::Changed,
                error => error.into(),
            })?;
        }
        Ok(outcomes)
    }

    /// `Err(Ok(..))`: this row is bad; `Err(Err(..))`: nothing more can be said.
    async fn import_person(
        &self,
        row: usize,
        ForeignPerson { name, hash }: ForeignPerson,
        how: &ImportPeople,
        seen: &mut HashMap<PrincipalName, usize>,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<(Outcome, Option<ImportedPerson>), Result<RowError, BasicError>> {
        let user = UserName::parse(&name).map_err(|error| Ok(error.into()))?;
        let name = PrincipalName::parse(user.as_str()).ok_or(Ok(RowError::Alphabet))?;
        let first = *seen.entry(name.clone()).or_insert(row);
        if first != row {
            return Err(Ok(RowError::Doubled(first)));
        }
        let unavailable = |error: StoreError| Err(BasicError::from(error));
        let person = self.store().find_person(&name).await.map_err(unavailable)?;
        match &person {
            Some(person) if person.principal.kind != PrincipalKind::User => {
                return Err(Ok(RowError::NotAUser));
            }
            Some(Person { principal, password: Some(_) }) => {
                return match how.skip_existing {
                    true => Ok((Outcome::Existed(principal.id.clone()), None)),
                    false => Err(Ok(RowError::Exists)),
                };
            }
            // they keep the scopes that they have, which may be more than these
            Some(Person { principal, password: None }) => {
                self.may_grant(&principal.scopes, caller).map_err(Err)?;
            }
            None => {}
        }
        let (argon2, entropy) = (self.parts.config.argon2, self.parts.entropy.clone());
        let hash = self
            .on_the_pool(caller.source, move || password::imported(hash.expose(), &argon2, &*entropy))
            .await
            .map_err(Err)?
            .map_err(|error| Ok(error.into()))?;
        let scheme = hash.scheme();
        let (id, new) = match person {
            Some(person) => (person.principal.id, None),
            None => {
                let principal = self.new_person(name, how, now).map_err(Err)?;
                let detail = vec![
                    ("kind", principal.kind.as_str().to_owned()),
                    ("name", principal.name.to_string()),
                    ("scopes", principal.scopes.to_string()),
                    ("origin", "imported".to_owned()),
                ];
                let event = caller.event(now, "principal.create", principal.id.as_str(), detail);
                (principal.id.clone(), Some((principal, event)))
            }
        };
        let detail = vec![("scheme", scheme.to_owned())];
        let event = caller.event(now, "password.import", id.as_str(), detail);
        let password = PasswordRecord {
            principal: id.clone(),
            hash,
            normal: 0,
            version: version(None, now),
            set_at: now,
        };
        let outcome = if new.is_some() { Outcome::Made(id, scheme) } else { Outcome::Given(id, scheme) };
        Ok((outcome, Some(ImportedPerson { principal: new, password, event })))
    }

    fn new_person(
        &self,
        name: PrincipalName,
        how: &ImportPeople,
        now: Timestamp,
    ) -> Result<Principal, BasicError> {
        let kind = PrincipalKind::User;
        let text = format!("{}{}", kind.prefix(), random_id(&*self.parts.entropy, PrincipalId::BODY));
        let id = PrincipalId::parse(&text)
            .ok_or_else(|| StoreError::Unavailable("a new id breaks its own grammar".into()))?;
        Ok(Principal {
            id,
            kind,
            name,
            scopes: how.scopes.clone(),
            groups: how.groups.clone(),
            enabled: true,
            version: 1,
            created_at: now,
        })
    }
}
