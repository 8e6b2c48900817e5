//! Exactly once into a stream of NATS JetStream.
//!
//! A part of a batch is one atomic batch of the stream, which stores all its messages or none. The last message has the
//! consumer's [`Position`] as JSON, on a subject of its own, with the condition that the last message there is still the one
//! that this process has read or written (`Nats-Expected-Last-Subject-Sequence`). The stream therefore refuses the batch of
//! a second process of the same consumer. There is no time window, and `Nats-Msg-Id` is not needed.
//!
//! The server must be 2.12 or newer, and the stream must have the option `allow_atomic` (`nats stream add --allow-batch`).
//!
//! The stream must keep the last position. A stream that removes old messages by age or size may remove it if the consumer
//! rests for long enough. The consumer then stops with the error [`ErrorKind::LostPosition`](crate::ErrorKind::LostPosition)
//! instead of applying a batch twice.
//!
//! ```no_run
//! use pgq_ext::jetstream::JetStream;
//! use pgq_ext::sink::SinkConsumer;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! let stream = JetStream::new("nats://127.0.0.1:4222", "ORDERS", "orders.{type}")?.create_stream(1);
//! let worker = pgq::Worker::new("dbname=shop", "orders", "orders_to_nats");
//! let handle = worker.spawn(SinkConsumer::new("orders_to_nats", stream))?;
//! # handle.join()?;
//! # Ok(())
//! # }
//! ```

mod connection;
#[cfg(feature = "script")]
mod keys;
mod marker;
mod message;
mod subject;

use std::path::PathBuf;

use async_nats::ServerAddr;
use pgq::{BoxError, Event};

use self::connection::Connection;
#[cfg(feature = "script")]
pub use self::keys::KEYS;
use self::marker::Marker;
use self::message::Message;
use self::subject::Template;
use crate::error::Error;
use crate::sink::{Limits, Position, Sink};

/// The most messages of an atomic batch that servers allow.
const BATCH_MESSAGES: usize = 1_000;

/// The content of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Payload {
    /// `ev_data`; empty if that is NULL.
    #[default]
    Data,
    /// A JSON object with the keys `id`, `time`, `txid`, `retry`, `type`, `data` and `extra1` to `extra4`.
    Json,
}

/// A stream as the target of a queue.
pub struct JetStream {
    options: Options,
    consumer: String,
    connection: Option<Connection>,
    /// The sequence of the position's message, 0 if there is none; `None` until it is read.
    sequence: Option<u64>,
}

/// The way to the stream and the form of its messages.
struct Options {
    servers: Vec<ServerAddr>,
    credentials: Option<PathBuf>,
    stream: String,
    subject: Template,
    position_subject: Option<String>,
    replicas: Option<usize>,
    has_headers: bool,
    payload: Payload,
}

impl JetStream {
    /// Makes the access to a stream.
    ///
    /// `url` is one address such as `nats://user:password@host:4222` or `tls://token@host`, or several of one cluster,
    /// separated by commas. `subject` is the subject of the events' messages, in which `{type}` and `{extra1}` to
    /// `{extra4}` stand for the event's columns. Bytes that are not printable ASCII, and the characters `.`, `*`, `>`,
    /// `$`, `%` and space, become `%` and two hexadecimal digits there; an empty column or NULL becomes `_`.
    ///
    /// # Errors
    ///
    /// When an address or the subject is not valid.
    pub fn new(url: &str, stream: &str, subject: &str) -> Result<JetStream, BoxError> {
        let options = Options {
            servers: connection::servers(url)?,
            credentials: None,
            stream: stream.to_owned(),
            subject: Template::parse(subject)?,
            position_subject: None,
            replicas: None,
            has_headers: true,
            payload: Payload::default(),
        };
        Ok(JetStream { options, consumer: String::new(), connection: None, sequence: None })
    }

    /// Sets the file with the user's credentials. Defaults to none.
    pub fn credentials(mut self, file: impl Into<PathBuf>) -> JetStream {
        self.options.credentials = Some(file.into());
        self
    }

    /// Sets the subject of the consumer's position, which the stream must take and no other consumer may use. Defaults to
    /// `pgq_position.STREAM.CONSUMER`.
    pub fn position_subject(mut self, subject: &str) -> JetStream {
        self.options.position_subject = Some(subject.to_owned());
        self
    }

    /// Creates the stream with this number of replicas if it is missing: in files, without limits of age and size, with
    /// the subjects of the events and of positions. Defaults to an error if the stream is missing.
    pub fn create_stream(mut self, replicas: usize) -> JetStream {
        self.options.replicas = Some(replicas);
        self
    }

    /// Sets whether messages have the headers `Pgq-Event-Id`, `Pgq-Event-Time`, `Pgq-Event-Type`, `Pgq-Extra1` to
    /// `Pgq-Extra4` and `Pgq-Retry`. A NULL has no header. In texts, control characters, `%` and space become `%` and two
    /// hexadecimal digits. Defaults to `true`.
    pub fn headers(mut self, has_headers: bool) -> JetStream {
        self.options.has_headers = has_headers;
        self
    }

    /// Sets the content of messages. Defaults to [`Payload::Data`].
    pub fn payload(mut self, payload: Payload) -> JetStream {
        self.options.payload = payload;
        self
    }

    fn connection(&mut self) -> Result<&Connection, BoxError> {
        if self.connection.as_ref().is_none_or(Connection::is_lost) {
            self.connection = Some(Connection::open(&self.options, &self.subject_of_position())?);
        }
        self.connection.as_ref().ok_or_else(|| "no connection".into())
    }

    fn subject_of_position(&self) -> String {
        self.options.position_subject.clone().unwrap_or_else(|| {
            let (stream, consumer) = (&self.options.stream, subject::escaped(&self.consumer));
            format!("pgq_position.{stream}.{consumer}")
        })
    }

    /// Returns the message that the consumer has stored last, and remembers its sequence.
    fn read(&mut self) -> Result<Option<Marker>, BoxError> {
        let subject = self.subject_of_position();
        let found = self.connection()?.last_message(&subject)?;
        self.sequence = Some(found.as_ref().map_or(0, |(sequence, _)| *sequence));
        match found {
            Some((_, payload)) => Ok(Some(Marker::parse(&payload).map_err(|error| self.located(error))?)),
            None => Ok(None),
        }
    }

    fn located(&self, error: BoxError) -> BoxError {
        let what = format!("stream `{}`, subject `{}`", self.options.stream, self.subject_of_position());
        dbscript::Error::failed(what).caused_by(error).into()
    }

    /// Stores messages of events and the consumer's marker, in one atomic batch.
    fn store(&mut self, part: &[Event], marker: &Marker) -> Result<(), BoxError> {
        let Some(sequence) = self.sequence else {
            return Err("the position is not read".into());
        };
        let mut messages = Vec::with_capacity(part.len() + 1);
        for event in part {
            messages.push(Message::of_event(event, &self.options));
        }
        messages.push(Message::of_marker(self.subject_of_position(), marker, sequence));
        self.sequence = Some(self.connection()?.publish(messages)?);
        Ok(())
    }

    /// Drops the connection after an error, so that nothing that it has buffered is sent later.
    fn checked<T>(&mut self, result: Result<T, BoxError>) -> Result<T, BoxError> {
        if result.is_err() {
            (self.connection, self.sequence) = (None, None);
        }
        result
    }
}

impl Sink for JetStream {
    /// Connects, and checks server and stream.
    fn startup(&mut self, consumer: &str) -> Result<(), BoxError> {
        consumer.clone_into(&mut self.consumer);
        (self.connection, self.sequence) = (None, None);
        self.connection().map(|_| ())
    }

    /// Fails with [`ErrorKind::LostPosition`](crate::ErrorKind::LostPosition) if the stream has neither a position nor the
    /// note that it was forgotten.
    fn position(&mut self) -> Result<Option<Position>, BoxError> {
        let read = self.read();
        match self.checked(read)? {
            Some(Marker::At(position)) => Ok(Some(position)),
            Some(Marker::Forgotten) => Ok(None),
            None => {
                let why = format!(
                    "stream `{}` has no message on subject `{}`: the stream was created anew or has removed the message; \
                     --reset starts at the source's position",
                    self.options.stream,
                    self.subject_of_position()
                );
                Err(Error::lost(&self.consumer, why).into())
            }
        }
    }

    fn apply(&mut self, part: &[Event], position: &Position) -> Result<(), BoxError> {
        let stored = self.store(part, &Marker::At(position.clone()));
        self.checked(stored)
    }

    /// Stores a note that there is no position, so that a removed position is not mistaken for a forgotten one.
    fn forget(&mut self) -> Result<(), BoxError> {
        // A message that is not a position is forgotten too.
        let subject = self.subject_of_position();
        let stored = self.connection().and_then(|connection| connection.last_message(&subject));
        let stored = stored.and_then(|found| {
            self.sequence = Some(found.map_or(0, |(sequence, _)| sequence));
            self.store(&[], &Marker::Forgotten)
        });
        self.checked(stored)
    }

    /// Leaves one message of an atomic batch to the position.
    fn limits(&self) -> Limits {
        Limits { events: BATCH_MESSAGES - 1, ..Limits::default() }
    }
}
