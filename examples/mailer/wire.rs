//! The bytes to and from a mail server: each answer within a time, no line without an end.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};
use tokio_rustls::client::TlsStream;

/// No server's line is longer, in bytes.
const LONGEST_LINE: usize = 4096;
/// No server's answer is, whatever its lines.
const LONGEST_ANSWER: usize = 16 * 1024;

/// A connection as `lettre` reads and writes it.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: Stream,
    peer: SocketAddr,
    /// What is read before anything of the stream.
    greeting: &'static [u8],
    /// How long the line is that is being read.
    line: usize,
    /// How much has been read since something was written.
    answer: usize,
    /// Whether the last thing that was done was to read.
    reads: bool,
    /// How long the server may take for each answer, and for each piece of a mail.
    patience: Duration,
    limit: Pin<Box<Sleep>>,
    /// Whether it has taken longer once: nothing more is sent then, not even a farewell.
    late: bool,
}

#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

impl Wire {
    /// Makes a wire; `greeting` stands for one that the server has given already.
    pub(crate) fn new(stream: Stream, peer: SocketAddr, greeting: &'static [u8], patience: Duration) -> Wire {
        let limit = Box::pin(sleep(patience));
        Wire { stream, peer, greeting, line: 0, answer: 0, reads: false, patience, limit, late: false }
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(self.stream, Stream::Encrypted(_))
    }

    fn start_again(&mut self) {
        self.limit.as_mut().reset(Instant::now() + self.patience);
    }

    /// Goes on waiting until the time is up.
    fn wait<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        self.limit.as_mut().poll(cx).map(|()| {
            self.late = true;
            Err(self.too_late())
        })
    }

    fn too_late(&self) -> io::Error {
        io::Error::new(ErrorKind::TimedOut, no_answer(self.patience))
    }

    /// Fails when what was read is too much, or too late: a server that never stops is never waited for.
    fn check(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.late |= Instant::now() >= self.limit.deadline();
        if self.late {
            return Err(self.too_late());
        }
        self.answer += bytes.len();
        if self.answer > LONGEST_ANSWER {
            return Err(io::Error::new(ErrorKind::InvalidData, "its answer does not end"));
        }
        for byte in bytes {
            self.line = if *byte == b'\n' { 0 } else { self.line + 1 };
            if self.line > LONGEST_LINE {
                return Err(io::Error::new(ErrorKind::InvalidData, "a line of its answer does not end"));
            }
        }
        Ok(())
    }

    /// Does something that writes; what is written begins a new time for the answer.
    fn write<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut Stream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.late {
            return Poll::Ready(Err(self.too_late()));
        }
        if std::mem::take(&mut self.reads) {
            self.answer = 0;
            self.start_again();
        }
        match write(Pin::new(&mut self.stream), cx) {
            Poll::Pending => self.wait(cx),
            Poll::Ready(written) => {
                self.start_again();
                Poll::Ready(written)
            }
        }
    }
}

/// Says that the server has taken too long.
pub(crate) fn no_answer(patience: Duration) -> String {
    format!("no answer in {} s", patience.as_secs_f64())
}

impl AsyncTokioStream for Wire {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.reads = true;
        if !this.greeting.is_empty() {
            let (now, later) = this.greeting.split_at(this.greeting.len().min(buffer.remaining()));
            buffer.put_slice(now);
            this.greeting = later;
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, buffer) {
            Poll::Pending => this.wait(cx),
            Poll::Ready(read) => Poll::Ready(read.and_then(|()| this.check(&buffer.filled()[before..]))),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().write(cx, |stream, cx| stream.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().write(cx, |stream, cx| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().write(cx, |stream, cx| stream.poll_shutdown(cx))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Encrypted(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Encrypted(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Encrypted(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Encrypted(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
