//! Bytes in and out of one connection, with TLS or without. Edge-triggered: a read that did not fill its buffer has
//! emptied the socket.

use rustls::{ClientConfig, ClientConnection, pki_types::ServerName};
use socket2::{Domain, Socket, Type};
use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

pub struct Wire {
    pub socket: mio::net::TcpStream,
    tls: Option<Box<ClientConnection>>,
    /// What the socket did not take yet.
    unsent: Vec<u8>,
    connected: bool,
}

impl Wire {
    pub fn accepted(socket: mio::net::TcpStream) -> Self {
        Self { socket, tls: None, unsent: Vec::new(), connected: true }
    }

    pub fn connect(
        from: Ipv4Addr,
        port: u16,
        tls: Option<&Arc<ClientConfig>>,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        if from != Ipv4Addr::LOCALHOST {
            socket.bind(&SocketAddr::from((from, 0)).into())?;
        }
        socket.set_tcp_nodelay(true)?;
        socket.set_nonblocking(true)?;
        match socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()) {
            Err(error) if error.raw_os_error() == Some(115) => {}
            other => other?,
        }
        let tls = match tls {
            None => None,
            Some(config) => {
                let name = ServerName::try_from("localhost")?;
                Some(Box::new(ClientConnection::new(config.clone(), name)?))
            }
        };
        let socket = mio::net::TcpStream::from_std(socket.into());
        Ok(Self { socket, tls, unsent: Vec::new(), connected: false })
    }

    /// Ready to carry requests?
    pub fn is_open(&self) -> bool {
        self.connected && self.tls.as_ref().is_none_or(|tls| !tls.is_handshaking())
    }

    /// All that is there, onto the end of `into`. `false`: the other side has closed.
    pub fn read(&mut self, into: &mut Vec<u8>, scratch: &mut [u8], closing: bool) -> io::Result<bool> {
        if !self.connected {
            match self.socket.take_error()? {
                None if self.socket.peer_addr().is_ok() => self.connected = true,
                None => return Ok(true),
                Some(error) => return Err(error),
            }
        }
        let mut open = true;
        loop {
            match self.socket.read(scratch) {
                Ok(0) => open = false,
                Ok(n) => {
                    match &mut self.tls {
                        None => into.extend_from_slice(&scratch[..n]),
                        Some(tls) => decrypt(tls, &scratch[..n], into)?,
                    }
                    // the end came with the same edge: it is not told again
                    if n == scratch.len() || closing {
                        continue;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => open = false,
                Err(error) => return Err(error),
            }
            self.flush()?;
            return Ok(open);
        }
    }

    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            if !self.unsent.is_empty() {
                self.unsent.extend_from_slice(bytes);
                return Ok(());
            }
            let sent = match self.socket.write(bytes) {
                Ok(sent) => sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                Err(error) => return Err(error),
            };
            self.unsent.extend_from_slice(&bytes[sent..]);
            return Ok(());
        };
        tls.writer().write_all(bytes)?;
        self.flush()
    }

    pub fn flush(&mut self) -> io::Result<()> {
        if !self.connected {
            return Ok(());
        }
        let sent = if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                match tls.write_tls(&mut self.socket) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
            0
        } else if self.unsent.is_empty() {
            0
        } else {
            match self.socket.write(&self.unsent) {
                Ok(sent) => sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                Err(error) => return Err(error),
            }
        };
        self.unsent.drain(..sent);
        Ok(())
    }
}

fn decrypt(tls: &mut ClientConnection, mut bytes: &[u8], into: &mut Vec<u8>) -> io::Result<()> {
    while !bytes.is_empty() {
        tls.read_tls(&mut bytes)?;
        let state = tls.process_new_packets().map_err(io::Error::other)?;
        let there = into.len();
        into.resize(there + state.plaintext_bytes_to_read(), 0);
        tls.reader().read_exact(&mut into[there..])?;
    }
    Ok(())
}
