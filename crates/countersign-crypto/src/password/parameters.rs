//! What one Argon2 hash costs.

use argon2::Params;

/// KiB of memory, passes over it, lanes. One that exists is within its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Parameters {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParametersError {
    #[error("the memory of a password hash is from 8192 to 1048576 KiB")]
    Memory,
    #[error("a password hash takes from 1 to 16 passes")]
    Passes,
    #[error("a password hash has from 1 to 8 lanes")]
    Lanes,
}

impl Argon2Parameters {
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, ParametersError> {
        if !(8192..=1_048_576).contains(&memory_kib) {
            return Err(ParametersError::Memory);
        }
        if !(1..=16).contains(&passes) {
            return Err(ParametersError::Passes);
        }
        if !(1..=8).contains(&lanes) {
            return Err(ParametersError::Lanes);
        }
        // RFC 9106 3.1: at least eight KiB for each lane
        Self::stored(memory_kib, passes, lanes).ok_or(ParametersError::Memory)
    }

    /// Of a hash that is there already, whose bounds are its scheme's.
    pub(super) fn stored(memory_kib: u32, passes: u32, lanes: u32) -> Option<Self> {
        Params::new(memory_kib, passes, lanes, None).ok()?;
        Some(Self { memory_kib, passes, lanes })
    }

    pub fn memory_kib(self) -> u32 {
        self.memory_kib
    }

    pub fn passes(self) -> u32 {
        self.passes
    }

    pub fn lanes(self) -> u32 {
        self.lanes
    }
}

/// OWASP's first choice for Argon2id (Password Storage Cheat Sheet): 19 MiB, two passes, one lane.
impl Default for Argon2Parameters {
    fn default() -> Self {
        Self { memory_kib: 19_456, passes: 2, lanes: 1 }
    }
}
