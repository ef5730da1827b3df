//! What stands before the chunks: how the key is come by.

use super::{SealKey, SealedError, Work};
use std::io::{self, Read};

const MAGIC: &[u8; 21] = b"countersign sealed 1\n";
const KEY: u8 = 1;
const PASSPHRASE: u8 = 2;
const LENGTH: usize = MAGIC.len() + 1 + 12 + 32;

#[derive(Debug)]
pub(super) struct Header {
    bytes: [u8; LENGTH],
}

impl Header {
    pub(super) fn new(key: &SealKey, salt: [u8; 32]) -> Self {
        let (kind, work) = match key {
            SealKey::Key(_) => (KEY, Work { memory: 0, passes: 0, lanes: 0 }),
            SealKey::Passphrase { work, .. } => (PASSPHRASE, *work),
        };
        let numbers = [work.memory, work.passes, work.lanes].into_iter().flat_map(u32::to_be_bytes);
        let all = MAGIC.iter().copied().chain([kind]).chain(numbers).chain(salt);
        let mut bytes = [0; LENGTH];
        bytes.iter_mut().zip(all).for_each(|(to, from)| *to = from);
        Self { bytes }
    }

    pub(super) fn read(from: &mut impl Read) -> Result<Self, SealedError> {
        let mut bytes = [0; LENGTH];
        from.read_exact(&mut bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => SealedError::NotSealed,
            _ => error.into(),
        })?;
        if !bytes.starts_with(MAGIC) {
            return Err(SealedError::NotSealed);
        }
        Ok(Self { bytes })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn salt(&self) -> &[u8] {
        self.bytes.get(LENGTH - 32..).unwrap_or_default()
    }

    /// The key as this file wants it: the work of a passphrase is the one that the file was made with.
    pub(super) fn fit(&self, key: &SealKey) -> Result<SealKey, SealedError> {
        let number = |at: usize| {
            let bytes = self.bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).unwrap_or_default();
            u32::from_be_bytes(bytes)
        };
        let after = MAGIC.len();
        match (self.bytes.get(after), key) {
            (Some(&KEY), SealKey::Key(key)) => Ok(SealKey::Key(key.clone())),
            (Some(&KEY), SealKey::Passphrase { .. }) => Err(SealedError::NeedsKey),
            (Some(&PASSPHRASE), SealKey::Key(_)) => Err(SealedError::NeedsPassphrase),
            (Some(&PASSPHRASE), SealKey::Passphrase { passphrase, .. }) => {
                let work =
                    Work { memory: number(after + 1), passes: number(after + 5), lanes: number(after + 9) };
                // of whoever made the file: a hostile one must not take the machine's memory
                if work.is_unreasonable() {
                    return Err(SealedError::Unreasonable);
                }
                Ok(SealKey::Passphrase { passphrase: passphrase.clone(), work })
            }
            _ => Err(SealedError::NotSealed),
        }
    }
}
