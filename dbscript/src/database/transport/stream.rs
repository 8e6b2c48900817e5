//! A connection's stream, plain, local or encrypted.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use postgres::Socket;
use postgres::tls::{ChannelBinding, TlsStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::time::{Sleep, sleep};

use super::AbortHandle;
use super::connector::ClosingSide;
use super::rollback::Rollback;
use super::startup::Startup;
use crate::database::tls::{Encrypted, channel_binding, explain_late};
use crate::shortened::shortened;

/// The time for which a server may be silent while a connection is closed or rolled back.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

pub(super) enum Inner {
    Plain(Socket),
    Local(UnixStream),
    Encrypted(Box<Encrypted>),
}

/// The time at which a connection must be open.
pub(super) struct Deadline {
    pub(super) until: Instant,
    /// Wakes the reader at that time.
    pub(super) sleep: Pin<Box<Sleep>>,
    pub(super) opened: Arc<AtomicBool>,
}

/// A stream that fails when the server does not open the connection in time, sends too much before it is ready, or is
/// aborted.
pub(crate) struct Stream {
    inner: Inner,
    /// `None` once the server is ready.
    startup: Option<Startup>,
    deadline: Option<Deadline>,
    abort: AbortHandle,
    rollback: Rollback,
    /// Wakes the reader when the time limit for closing or rolling back ends.
    close_timer: Option<Pin<Box<Sleep>>>,
    closing_side: ClosingSide,
}

impl Stream {
    pub(super) fn new(
        inner: Inner,
        deadline: Option<Deadline>,
        closing_side: ClosingSide,
        abort: AbortHandle,
    ) -> Stream {
        let startup = Some(Startup::default());
        let rollback = Rollback::default();
        Stream { inner, startup, deadline, abort, rollback, close_timer: None, closing_side }
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
        // A server that never stops sending leaves the runtime no time to notice the end of the sleep.
        self.deadline.as_mut().is_some_and(|deadline| {
            deadline.sleep.as_mut().poll(cx).is_ready() || Instant::now() >= deadline.until
        })
    }

    /// Returns true if the connection is being closed or rolled back and the server is silent for too long. Such a
    /// connection can be dropped, because the server also rolls back when a connection ends.
    fn is_abandoned(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.abort.is_closing() && !self.rollback.is_due() {
            self.close_timer = None;
            return false;
        }
        let timer = self.close_timer.get_or_insert_with(|| Box::pin(sleep(shortened(CLOSE_LIMIT))));
        timer.as_mut().poll(cx).is_ready()
    }

    /// Checks the sizes of messages until the server is ready.
    fn check_startup(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(startup) = &mut self.startup {
            startup.read(bytes)?;
            if startup.is_over() {
                self.startup = None;
            }
        }
        Ok(())
    }
}

impl TlsStream for Stream {
    fn channel_binding(&self) -> ChannelBinding {
        match &self.inner {
            Inner::Plain(_) | Inner::Local(_) => ChannelBinding::none(),
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
        if self.abort.is_aborted() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buf.filled().len();
        let read = match &mut self.inner {
            Inner::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Inner::Local(socket) => Pin::new(socket).poll_read(cx, buf),
            Inner::Encrypted(stream) => Pin::new(&mut **stream).poll_read(cx, buf).map_err(explain_late),
        };
        if self.is_late(cx) || (read.is_pending() && self.is_abandoned(cx)) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if let Poll::Ready(Ok(())) = &read {
            self.close_timer = None;
            self.rollback.read(&buf.filled()[before..]);
            self.check_startup(&buf.filled()[before..])?;
        }
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.rollback.written(buf);
        match &mut self.inner {
            Inner::Plain(socket) => Pin::new(socket).poll_write(cx, buf),
            Inner::Local(socket) => Pin::new(socket).poll_write(cx, buf),
            Inner::Encrypted(stream) => Pin::new(&mut **stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The last message may be a rollback, whose answer is not read yet.
        if self.is_abandoned(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        match &mut self.inner {
            Inner::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Inner::Local(socket) => Pin::new(socket).poll_flush(cx),
            Inner::Encrypted(stream) => Pin::new(&mut **stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.closing_side == ClosingSide::Server {
            return self.poll_end(cx);
        }
        match &mut self.inner {
            Inner::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Inner::Local(socket) => Pin::new(socket).poll_shutdown(cx),
            Inner::Encrypted(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
        }
    }
}
