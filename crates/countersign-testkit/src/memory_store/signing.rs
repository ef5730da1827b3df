//! Our own signing keys, in memory.

use super::MemoryStore;
use countersign_core::{BoxFuture, StoreError, Timestamp};
use countersign_methods::{
    revocation::store::ChangeKind,
    signing::{
        record::{SigningKeyRecord, SigningKeyState},
        store::{SigningKeyChange, SigningKeyStore},
    },
};

impl SigningKeyStore for MemoryStore {
    fn list<'a>(&'a self) -> BoxFuture<'a, Result<Vec<SigningKeyRecord>, StoreError>> {
        self.answer(|state| {
            let mut keys = state.signing_keys.clone();
            keys.sort_by(|a, b| (a.created_at, &a.kid).cmp(&(b.created_at, &b.kid)));
            Ok(keys)
        })
    }

    fn change<'a>(
        &'a self,
        change: SigningKeyChange,
        at: Timestamp,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.answer(|state| {
            let changed = Err(StoreError::Conflict("signing_key_changed"));
            let SigningKeyChange { updates, inserts, revoked, events } = change;
            let mut keys = state.signing_keys.clone();
            for record in updates {
                if is_second(&keys, &record) {
                    return changed;
                }
                let Some(known) = standing_before(&mut keys, &record) else { return changed };
                *known = SigningKeyRecord { created_at: known.created_at, ..record };
            }
            for record in inserts {
                if is_second(&keys, &record) || keys.iter().any(|known| known.kid == record.kid) {
                    return changed;
                }
                keys.push(record);
            }
            state.signing_keys = keys;
            for (node, until) in revoked {
                state.change(ChangeKind::Revoked, node, at, Some(until));
            }
            for event in events {
                state.tell(event);
            }
            Ok(())
        })
    }
}

fn standing_before<'k>(
    keys: &'k mut [SigningKeyRecord],
    record: &SigningKeyRecord,
) -> Option<&'k mut SigningKeyRecord> {
    let is_before = |known: &&mut SigningKeyRecord| {
        known.kid == record.kid
            && known.version == record.version - 1
            && (known.purpose, known.algorithm) == (record.purpose, record.algorithm)
    };
    keys.iter_mut().find(is_before)
}

/// Another key signs already what this one would sign.
fn is_second(keys: &[SigningKeyRecord], record: &SigningKeyRecord) -> bool {
    let signs = |known: &SigningKeyRecord| {
        known.kid != record.kid
            && known.state == SigningKeyState::Active
            && (known.purpose, known.algorithm) == (record.purpose, record.algorithm)
    };
    record.state == SigningKeyState::Active && keys.iter().any(signs)
}
