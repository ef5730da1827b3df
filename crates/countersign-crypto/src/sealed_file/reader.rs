//! Opens what was sealed, and gives out no byte that is not proved to be in its place.

use super::{CHUNK, Chunks, SealKey, SealedError, TAG, header::Header};
use crate::constant_time;
use aws_lc_rs::aead::Aad;
use std::{
    fmt,
    io::{self, Read},
};
use zeroize::Zeroizing;

pub struct SealedReader<R> {
    from: R,
    chunks: Chunks,
    /// The next chunk, sealed, and the byte behind it that says whether another one follows.
    sealed: Vec<u8>,
    open: Zeroizing<Vec<u8>>,
    given: usize,
    ended: bool,
}

impl<R> fmt::Debug for SealedReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedReader(..)")
    }
}

impl<R: Read> SealedReader<R> {
    pub fn new(mut from: R, key: &SealKey) -> Result<Self, SealedError> {
        let header = Header::read(&mut from)?;
        let keys = header.fit(key)?.derive(&header)?;
        let mut mark = [0; 32];
        from.read_exact(&mut mark).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => SealedError::CutShort(0),
            _ => error.into(),
        })?;
        if !constant_time::equal(&mark, &keys.mark) {
            return Err(SealedError::WrongKey);
        }
        Ok(Self {
            from,
            chunks: Chunks::new(&keys.chunks)?,
            sealed: Vec::with_capacity(CHUNK + TAG + 1),
            open: Zeroizing::new(Vec::with_capacity(CHUNK + TAG)),
            given: 0,
            ended: false,
        })
    }

    fn next(&mut self) -> Result<(), SealedError> {
        let missing = (CHUNK + TAG + 1).saturating_sub(self.sealed.len());
        self.from.by_ref().take(missing as u64).read_to_end(&mut self.sealed)?;
        let last = self.sealed.len() <= CHUNK + TAG;
        let behind = self.sealed.split_off(self.sealed.len().min(CHUNK + TAG));
        self.given = 0;
        if self.decrypt(last).is_err() {
            self.open.clear();
            let before = self.chunks.number;
            let missing = self.sealed.is_empty();
            let not_the_last = last && self.decrypt(false).is_ok();
            self.open.clear();
            return Err(match (missing, not_the_last) {
                (true, _) => SealedError::CutShort(before),
                (_, true) => SealedError::CutShort(before + 1),
                _ => SealedError::Altered(before + 1),
            });
        }
        self.sealed = behind;
        self.chunks.number += 1;
        self.ended = last;
        Ok(())
    }

    fn decrypt(&mut self, last: bool) -> Result<(), ()> {
        self.open.clear();
        self.open.extend_from_slice(&self.sealed);
        let nonce = self.chunks.nonce(last);
        let length =
            self.chunks.key.open_in_place(nonce, Aad::empty(), &mut self.open).map_err(|_| ())?.len();
        self.open.truncate(length);
        Ok(())
    }
}

impl<R: Read> Read for SealedReader<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.given == self.open.len() && !self.ended {
            self.next()?;
        }
        let rest = self.open.get(self.given..).unwrap_or_default();
        let n = rest.len().min(to.len());
        to.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.given += n;
        Ok(n)
    }
}
