//! What the service manager is told, as sd_notify(3) has it: ready, reading the configuration again, stopping.
//!
//! Owns the datagrams to the socket that `NOTIFY_SOCKET` names. Where none is named nobody is told, and nothing else changes.

use crate::config::Environment;
use rustix::time::{ClockId, clock_gettime};
use std::{
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
};

const SOCKET: &str = "NOTIFY_SOCKET";

#[derive(Debug)]
pub struct ServiceManager {
    told: Option<(UnixDatagram, SocketAddr)>,
}

impl ServiceManager {
    /// Of this environment; a manager that cannot be reached is logged, and does without us.
    pub fn of(environment: &Environment) -> Self {
        let told = environment.get(SOCKET).and_then(|name| match connect(name) {
            Ok(told) => Some(told),
            Err(e) => {
                tracing::warn!("cannot tell the service manager anything: `{SOCKET}` names `{name}`: {e}");
                None
            }
        });
        Self { told }
    }

    /// Everything listens; `generation` of the configuration is in use.
    pub fn ready(&self, generation: u64) {
        self.tell(&format!("READY=1\nSTATUS=generation {generation} of the configuration is in use"));
    }

    /// Until [`ready`](Self::ready) is said again.
    pub fn reloading(&self) {
        // with it the manager tells this reload from one that was asked for before (`Type=notify-reload`)
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1_000);
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=finishing what is under way");
    }

    fn tell(&self, message: &str) {
        let Some((socket, address)) = &self.told else { return };
        if let Err(e) = socket.send_to_addr(message.as_bytes(), address) {
            tracing::warn!("cannot tell the service manager anything: {e}");
        }
    }
}

/// A path, or a name in the abstract namespace after `@`.
fn connect(name: &str) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None if name.starts_with('/') => SocketAddr::from_pathname(name)?,
        None => return Err(io::Error::other("neither a path from the root nor a name after `@`")),
    };
    let socket = UnixDatagram::unbound()?;
    // a manager that does not read holds nobody up
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

#[cfg(test)]
mod tests;
