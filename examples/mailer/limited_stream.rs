//! The stream to a mail server, with limits of time and size for each answer.

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

/// The longest line of an answer, in bytes.
const MAX_LINE: usize = 4096;
/// The longest answer, in bytes.
const MAX_ANSWER: usize = 16 * 1024;

/// A stream for `lettre` that fails when an answer is late or too long.
#[derive(Debug)]
pub(crate) struct LimitedStream {
    stream: Stream,
    peer: SocketAddr,
    /// The text that is read before the stream.
    greeting: &'static [u8],
    /// The length of the current line.
    line: usize,
    /// The number of bytes that were read since the last write.
    answer: usize,
    /// True if the last operation was a read.
    reads: bool,
    /// The time-out of each answer, and of each write.
    answer_timeout: Duration,
    limit: Pin<Box<Sleep>>,
    /// True after a time-out. The stream then sends nothing more, not even QUIT.
    late: bool,
}

#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

impl LimitedStream {
    /// Creates a stream; `greeting` replaces a greeting of the server that was read before.
    pub(crate) fn new(
        stream: Stream,
        peer: SocketAddr,
        greeting: &'static [u8],
        answer_timeout: Duration,
    ) -> LimitedStream {
        let limit = Box::pin(sleep(answer_timeout));
        LimitedStream {
            stream,
            peer,
            greeting,
            line: 0,
            answer: 0,
            reads: false,
            answer_timeout,
            limit,
            late: false,
        }
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(self.stream, Stream::Encrypted(_))
    }

    fn restart_timer(&mut self) {
        self.limit.as_mut().reset(Instant::now() + self.answer_timeout);
    }

    /// Waits for the time-out, after which the operation fails.
    fn wait<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        self.limit.as_mut().poll(cx).map(|()| {
            self.late = true;
            Err(self.time_out_error())
        })
    }

    fn time_out_error(&self) -> io::Error {
        io::Error::new(ErrorKind::TimedOut, no_answer(self.answer_timeout))
    }

    /// Fails when the answer is too long or too late, so that an endless answer ends too.
    fn check(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.late |= Instant::now() >= self.limit.deadline();
        if self.late {
            return Err(self.time_out_error());
        }
        self.answer += bytes.len();
        if self.answer > MAX_ANSWER {
            return Err(io::Error::new(ErrorKind::InvalidData, "its answer is too long"));
        }
        for byte in bytes {
            self.line = if *byte == b'\n' { 0 } else { self.line + 1 };
            if self.line > MAX_LINE {
                return Err(io::Error::new(ErrorKind::InvalidData, "a line of its answer is too long"));
            }
        }
        Ok(())
    }

    /// Runs a write, and restarts the timer for the answer.
    fn write<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut Stream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.late {
            return Poll::Ready(Err(self.time_out_error()));
        }
        if std::mem::take(&mut self.reads) {
            self.answer = 0;
            self.restart_timer();
        }
        match write(Pin::new(&mut self.stream), cx) {
            Poll::Pending => self.wait(cx),
            Poll::Ready(written) => {
                self.restart_timer();
                Poll::Ready(written)
            }
        }
    }
}

/// Returns the message about a time-out.
pub(crate) fn no_answer(answer_timeout: Duration) -> String {
    format!("no answer in {} s", answer_timeout.as_secs_f64())
}

impl AsyncTokioStream for LimitedStream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl AsyncRead for LimitedStream {
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

impl AsyncWrite for LimitedStream {
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
