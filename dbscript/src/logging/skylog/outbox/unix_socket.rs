//! Messages to a Unix socket such as that of syslogd.

use std::io::{self, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;

use super::{DeliveryResult, Receiver};

/// The time-out of a send. A receiver whose buffer is full for longer counts as unreachable.
const SEND_LIMIT: Duration = Duration::from_secs(1);

/// Sends messages as datagrams, or as a stream if the socket is a stream socket.
pub(crate) struct UnixSocket {
    path: PathBuf,
    socket: Option<Socket>,
}

enum Socket {
    Datagram(UnixDatagram),
    Stream(UnixStream),
}

impl UnixSocket {
    pub(crate) fn new(path: PathBuf) -> UnixSocket {
        UnixSocket { path, socket: None }
    }

    /// Sends over the open socket, or over a new one if the receiver has restarted.
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        if let Some(mut socket) = self.socket.take()
            && socket.send(message).is_ok()
        {
            self.socket = Some(socket);
            return Ok(());
        }
        let mut socket = Socket::open(&self.path)?;
        socket.send(message)?;
        self.socket = Some(socket);
        Ok(())
    }
}

impl Receiver<Vec<u8>> for UnixSocket {
    fn deliver(&mut self, message: &Vec<u8>) -> DeliveryResult {
        match self.send(message) {
            Ok(()) => DeliveryResult::Done,
            Err(error) if error.raw_os_error() == Some(Errno::EMSGSIZE as i32) => DeliveryResult::Refused,
            Err(_) => DeliveryResult::Away,
        }
    }
}

impl Socket {
    fn open(path: &Path) -> io::Result<Socket> {
        let datagram = UnixDatagram::unbound()?;
        match datagram.connect(path) {
            Ok(()) => {
                datagram.set_write_timeout(Some(SEND_LIMIT))?;
                Ok(Socket::Datagram(datagram))
            }
            Err(_) => {
                let stream = UnixStream::connect(path)?;
                stream.set_write_timeout(Some(SEND_LIMIT))?;
                Ok(Socket::Stream(stream))
            }
        }
    }

    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        match self {
            Socket::Datagram(socket) => socket.send(message).map(|_| ()),
            Socket::Stream(socket) => socket.write_all(message),
        }
    }
}
