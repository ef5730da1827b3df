//! Small writes of several pieces, made in one plain call: `writev` costs the kernel more than copying a head does.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Up to here copying is cheaper: a head, and a body that a head would be long for.
const SMALL: usize = 2 * 1024;

#[derive(Debug)]
pub(crate) struct Gathered<S>(S);

impl<S> Gathered<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self(stream)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = bufs {
            return Pin::new(&mut self.0).poll_write(cx, only);
        }
        let mut gathered = [0; SMALL];
        match gather(bufs, &mut gathered) {
            Some(whole) => Pin::new(&mut self.0).poll_write(cx, whole),
            None => Pin::new(&mut self.0).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// `None`: more than fits.
fn gather<'g>(bufs: &[io::IoSlice<'_>], into: &'g mut [u8; SMALL]) -> Option<&'g [u8]> {
    let mut at = 0;
    for buf in bufs {
        let end = at + buf.len();
        into.get_mut(at..end)?.copy_from_slice(buf);
        at = end;
    }
    into.get(..at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::IoSlice;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn pieces_arrive_in_order_whatever_their_size() {
        for sizes in [[3, 4, 0], [SMALL - 1, 1, 0], [SMALL, 1, 0], [1, 0, SMALL], [0, 0, 5]] {
            let (near, mut far) = tokio::io::duplex(8 * SMALL);
            let pieces: Vec<Vec<u8>> = sizes.iter().zip(b'a'..).map(|(n, byte)| vec![byte; *n]).collect();
            let slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
            let mut near = Gathered::new(near);
            let written = near.write_vectored(&slices).await.unwrap();
            drop(near);
            let mut arrived = Vec::new();
            far.read_to_end(&mut arrived).await.unwrap();
            assert_eq!(arrived, pieces.concat()[..written], "{sizes:?}");
            assert_eq!(written, sizes.iter().sum::<usize>(), "{sizes:?}");
        }
    }

    #[tokio::test]
    async fn a_peer_that_takes_little_is_given_little() {
        let (near, mut far) = tokio::io::duplex(5);
        let mut near = Gathered::new(near);
        let written = near.write_vectored(&[IoSlice::new(b"abc"), IoSlice::new(b"defg")]).await.unwrap();
        drop(near);
        let mut arrived = String::new();
        far.read_to_string(&mut arrived).await.unwrap();
        assert_eq!((written, arrived.as_str()), (5, "abcde"));
    }
}
