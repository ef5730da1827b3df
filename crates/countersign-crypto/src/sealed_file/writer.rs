//! Seals what is written, chunk by chunk.

use super::{CHUNK, Chunks, SealKey, SealedError, TAG, header::Header};
use crate::Entropy;
use aws_lc_rs::aead::Aad;
use std::{
    fmt,
    io::{self, Write},
};
use zeroize::Zeroizing;

/// Must be [finished](Self::finish): a file whose last chunk is missing does not open.
pub struct SealedWriter<W> {
    to: W,
    chunks: Chunks,
    /// With room for the tag, so that no plain text is left behind where it grew out of.
    buffer: Zeroizing<Vec<u8>>,
}

impl<W> fmt::Debug for SealedWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedWriter(..)")
    }
}

impl<W: Write> SealedWriter<W> {
    pub fn new(mut to: W, key: &SealKey, entropy: &dyn Entropy) -> Result<Self, SealedError> {
        let mut salt = [0; 32];
        entropy.fill(&mut salt);
        let header = Header::new(key, salt);
        let keys = key.derive(&header)?;
        to.write_all(header.bytes())?;
        to.write_all(&keys.mark)?;
        let buffer = Zeroizing::new(Vec::with_capacity(CHUNK + TAG));
        Ok(Self { to, chunks: Chunks::new(&keys.chunks)?, buffer })
    }

    /// Seals the last chunk.
    pub fn finish(mut self) -> io::Result<W> {
        self.seal(true)?;
        self.to.flush()?;
        Ok(self.to)
    }

    fn seal(&mut self, last: bool) -> io::Result<()> {
        let nonce = self.chunks.nonce(last);
        let sealed = self.chunks.key.seal_in_place_append_tag(nonce, Aad::empty(), &mut *self.buffer);
        sealed.map_err(|_| io::Error::other("a chunk could not be sealed"))?;
        self.to.write_all(&self.buffer)?;
        self.buffer.clear();
        self.chunks.number += 1;
        Ok(())
    }
}

impl<W: Write> Write for SealedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // only when there is more to come: the last chunk is not known to be the last before the end
        if self.buffer.len() == CHUNK && !bytes.is_empty() {
            self.seal(false)?;
        }
        let (now, _) = bytes.split_at(bytes.len().min(CHUNK - self.buffer.len()));
        self.buffer.extend_from_slice(now);
        Ok(now.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
