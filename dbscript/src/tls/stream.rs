//! A connection's stream, plain or encrypted.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use postgres::Socket;
use postgres::tls::{ChannelBinding, TlsStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::encryption::{Encrypted, channel_binding, explain_late};

pub(super) enum Inner {
    Plain(Socket),
    Encrypted(Box<Encrypted>),
}

/// The end of the time in which a connection has to be open.
pub(super) struct Deadline {
    pub(super) sleep: Pin<Box<Sleep>>,
    pub(super) opened: Arc<AtomicBool>,
}

/// A stream that fails when the server does not get the connection opened in time.
pub(crate) struct Stream {
    inner: Inner,
    deadline: Option<Deadline>,
    /// Whether shutting down is left to the server.
    lingers: bool,
}

impl Stream {
    pub(super) fn new(inner: Inner, deadline: Option<Deadline>, lingers: bool) -> Stream {
        Stream { inner, deadline, lingers }
    }

    /// Waits until the server closes the connection.
    fn poll_end(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut scratch = [0; 64];
            let mut buf = ReadBuf::new(&mut scratch);
            match self.as_mut().poll_read(cx, &mut buf) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(Ok(())),
            }
        }
    }

    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        if self.deadline.as_ref().is_some_and(|deadline| deadline.opened.load(Ordering::Relaxed)) {
            self.deadline = None;
        }
        self.deadline.as_mut().is_some_and(|deadline| deadline.sleep.as_mut().poll(cx).is_ready())
    }
}

impl TlsStream for Stream {
    fn channel_binding(&self) -> ChannelBinding {
        match &self.inner {
            Inner::Plain(_) => ChannelBinding::none(),
            Inner::Encrypted(stream) => channel_binding(stream),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = match &mut self.inner {
            Inner::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Inner::Encrypted(stream) => Pin::new(&mut **stream).poll_read(cx, buf).map_err(explain_late),
        };
        if read.is_pending() && self.is_late(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.inner {
            Inner::Plain(socket) => Pin::new(socket).poll_write(cx, buf),
            Inner::Encrypted(stream) => Pin::new(&mut **stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.inner {
            Inner::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Inner::Encrypted(stream) => Pin::new(&mut **stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingers {
            return self.poll_end(cx);
        }
        match &mut self.inner {
            Inner::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Inner::Encrypted(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
        }
    }
}
