//! A port that stays ours, whether somebody listens there or not.

use std::io;
use std::net::Ipv4Addr;
use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::net::TcpSocket;

/// Connections that wait to be taken.
const BACKLOG: u32 = 1024;

/// A bound port. Who connects while nobody listens is refused.
pub(crate) struct Port {
    address: SocketAddr,
    /// Bound and never listening: nobody else is given the port.
    _kept: TcpSocket,
}

impl Port {
    pub(crate) fn take() -> io::Result<Self> {
        let kept = socket()?;
        kept.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        Ok(Self {
            address: kept.local_addr()?,
            _kept: kept,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Until the listener is dropped.
    pub(crate) fn listen(&self) -> io::Result<TcpListener> {
        let socket = socket()?;
        socket.bind(self.address)?;
        socket.listen(BACKLOG)
    }
}

fn socket() -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    Ok(socket)
}
