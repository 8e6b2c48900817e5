//! Exactly once into a stream of NATS JetStream.
//!
//! The stream has the consumer's [`Position`] as JSON, in messages on a subject of its own. There is no time window.
//!
//! - As an atomic batch, a part of a batch is stored with all its messages or none. The last message is the position, with the
//!   condition that the last message on its subject is still the one that this process has read or written
//!   (`Nats-Expected-Last-Subject-Sequence`). The stream therefore refuses the part of a second process of the same
//!   consumer. The server must be 2.12 or newer, and the stream must have the option `allow_atomic`
//!   (`nats stream add --allow-batch`).
//! - One by one, each message has the condition that the stream's last message is the one before it. The stored messages are
//!   then the first ones of a part. A small batch arrives earlier than as an atomic batch. The stream should have no other
//!   writer. If it has one and atomic batches, these are used after the first refusal.
//!
//! The stream decides. Without atomic batches all messages are stored one by one. With them, only batches of one part are, and
//! only if the stream has one replica, a window of duplicates of a second at most, and no other writer. Created streams have
//! such a window, and atomic batches if the server has.
//!
//! Several subconsumers, as a [`TeamConsumer`](crate::sink::TeamConsumer) each, need atomic batches. They keep ranges of batches
//! instead of the position, and the record of each open batch on a subject below that of the position, which the stream must
//! take too: `pgq_position.STREAM.CONSUMER.*`.
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

mod atomic;
mod connection;
#[cfg(feature = "script")]
mod keys;
mod login;
mod marker;
mod message;
mod one_by_one;
mod owner;
mod records;
mod stream;
mod subject;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use async_nats::ServerAddr;
use pgq::{BoxError, Event};

use self::atomic::Staged;
use self::connection::{Connection, Pending};
#[cfg(feature = "script")]
pub use self::keys::KEYS;
use self::marker::Marker;
use self::message::Message;
use self::one_by_one::Tail;
use self::owner::Owner;
use self::subject::Template;
use crate::sink::{Limits, Position, Sink};

const NOT_CONNECTED: &str = "the client is not connected";
/// The most parts whose messages are sent one by one and not stored yet.
const MAX_PENDING: usize = 2;
/// The most bytes of headers that storing a message adds, besides the consumer's name.
const MORE_HEADERS: usize = 256;

/// The content of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Payload {
    /// `ev_data`; empty if that is NULL.
    #[default]
    Data,
    /// A JSON object with the keys `id`, `time`, `txid`, `retry`, `type`, `data` and `extra1` to `extra4`.
    Json,
}

/// The treatment of an event whose message is larger than server or stream allow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TooLarge {
    /// It goes to the consumer's failed events, with the reason.
    #[default]
    Fail,
    /// The batch ends with an error, and is delivered again.
    Stop,
}

/// A stream as the target of a queue.
pub struct JetStream {
    options: Options,
    owner: Owner,
    connection: Option<Connection>,
    /// `None` until it is read.
    guard: Option<Guard>,
    /// The parts of a batch that were sent and are not settled, the oldest first.
    pending: VecDeque<Pending>,
    team: records::Team,
}

/// The way to the stream and the form of its messages.
struct Options {
    servers: Vec<ServerAddr>,
    credentials: Option<PathBuf>,
    root_certificate: Option<PathBuf>,
    client_certificate: Option<(PathBuf, PathBuf)>,
    stream: String,
    subject: Template,
    position_subject: Option<String>,
    replicas: Option<usize>,
    /// Zero for none.
    max_age: Duration,
    /// Zero for none.
    max_bytes: u64,
    has_headers: bool,
    payload: Payload,
    too_large: TooLarge,
}

/// The state of the stream on which the next write depends.
enum Guard {
    /// The sequence of the position's message, 0 if there is none, for atomic batches.
    Position(u64),
    /// The same, for the rest of a batch of several parts. The next batch depends on the end of the stream.
    Bulk(u64),
    /// The end of the stream, for messages one by one.
    Tail(Tail),
}

impl JetStream {
    /// Makes the access to a stream.
    ///
    /// `url` is one address such as `nats://user:password@host:4222` or `tls://token@host`, or several of one cluster,
    /// separated by commas. `subject` is the subject of the events' messages, in which `{type}` and `{extra1}` to
    /// `{extra4}` stand for the event's columns, and `{schema}` and `{table}` for the two parts of the table's name, which
    /// the trigger functions write into `ev_extra1`. Bytes that are not printable ASCII, and the characters `.`, `*`, `>`,
    /// `$`, `%` and space, become `%` and two hexadecimal digits there; an empty column or NULL becomes `_`.
    ///
    /// # Errors
    ///
    /// When an address or the subject is not valid.
    pub fn new(url: &str, stream: &str, subject: &str) -> Result<JetStream, BoxError> {
        let options = Options {
            servers: login::servers(url)?,
            credentials: None,
            root_certificate: None,
            client_certificate: None,
            stream: stream.to_owned(),
            subject: Template::parse(subject)?,
            position_subject: None,
            replicas: None,
            max_age: Duration::ZERO,
            max_bytes: 0,
            has_headers: true,
            payload: Payload::default(),
            too_large: TooLarge::default(),
        };
        let owner = Owner::of("", &options);
        let team = records::Team::default();
        Ok(JetStream { options, owner, connection: None, guard: None, pending: VecDeque::new(), team })
    }

    /// Sets the file with the user's credentials. Defaults to none.
    pub fn credentials(mut self, file: impl Into<PathBuf>) -> JetStream {
        self.options.credentials = Some(file.into());
        self
    }

    /// Sets a file with certificates, in PEM format, that a server's certificate may be signed by, besides those of the
    /// system. Defaults to none.
    pub fn root_certificate(mut self, file: impl Into<PathBuf>) -> JetStream {
        self.options.root_certificate = Some(file.into());
        self
    }

    /// Sets the files with the client's certificate and its key, in PEM format. Defaults to none.
    pub fn client_certificate(mut self, file: impl Into<PathBuf>, key: impl Into<PathBuf>) -> JetStream {
        self.options.client_certificate = Some((file.into(), key.into()));
        self
    }

    /// Sets the subject of the consumer's position, which the stream must take and no other consumer may use. Defaults to
    /// `pgq_position.STREAM.CONSUMER`.
    pub fn position_subject(mut self, subject: &str) -> JetStream {
        self.options.position_subject = Some(subject.to_owned());
        self
    }

    /// Creates the stream with this number of replicas if it is missing: in files, with the subjects of the events and of
    /// positions. Defaults to an error if the stream is missing.
    pub fn create_stream(mut self, replicas: usize) -> JetStream {
        self.options.replicas = Some(replicas);
        self
    }

    /// Sets for how long a created stream keeps messages. Must be longer than the consumer ever rests, since the position is
    /// such a message. Zero means for ever, the default.
    pub fn max_age(mut self, age: Duration) -> JetStream {
        self.options.max_age = age;
        self
    }

    /// Sets how many bytes a created stream keeps; it removes its oldest messages for new ones. Zero means without limit, the
    /// default.
    pub fn max_bytes(mut self, bytes: u64) -> JetStream {
        self.options.max_bytes = bytes;
        self
    }

    /// Sets whether messages have the headers `Pgq-Event-Id`, `Pgq-Event-Time`, `Pgq-Event-Type`, `Pgq-Extra1` to
    /// `Pgq-Extra4` and `Pgq-Retry`, and `traceparent` if an extra column has one. A NULL has no header. In texts, control
    /// characters, `%` and space become `%` and two hexadecimal digits. Defaults to `true`.
    pub fn headers(mut self, has_headers: bool) -> JetStream {
        self.options.has_headers = has_headers;
        self
    }

    /// Sets the content of messages. Defaults to [`Payload::Data`].
    pub fn payload(mut self, payload: Payload) -> JetStream {
        self.options.payload = payload;
        self
    }

    /// Sets the treatment of an event whose message is too large. Defaults to [`TooLarge::Fail`].
    pub fn too_large(mut self, too_large: TooLarge) -> JetStream {
        self.options.too_large = too_large;
        self
    }

    /// Returns the connection, which is opened unless it is usable.
    fn connect(&mut self) -> Result<&Connection, BoxError> {
        if self.connection.as_ref().is_none_or(Connection::is_unusable) {
            self.connection = None;
            self.connection = Some(Connection::open(&self.options, &self.owner.subject)?);
        }
        self.connection.as_ref().ok_or_else(|| NOT_CONNECTED.into())
    }

    /// Returns the message that the consumer has stored last, and remembers the state on which the next write depends.
    fn read(&mut self) -> Result<Option<Marker>, BoxError> {
        // Parts in flight could still change the position.
        self.settle()?;
        self.connect()?;
        let (connection, owner) = (self.connection.as_ref().ok_or(NOT_CONNECTED)?, &self.owner);
        let found = connection.last_message(&owner.subject)?;
        let sequence = found.as_ref().map_or(0, |message| message.sequence);
        let marker = found.map(|message| Marker::parse(&message.payload)).transpose();
        let marker = marker.map_err(|error| owner.located(error))?;
        let is_within = matches!(&marker, Some(Marker::OneByOne(position)) if !position.is_complete);
        let has_batches = connection.has_atomic_batches();
        let is_final = match &marker {
            Some(Marker::At(position)) => position.is_complete,
            Some(Marker::Ranges(_)) => true,
            _ => false,
        };
        let wants_batches = self.team.is_member || connection.needs_atomic_batches() || is_final;
        if has_batches && wants_batches && !is_within {
            self.guard = Some(Guard::Position(sequence));
            return Ok(marker);
        }
        let tail = Tail::read(connection, owner)?;
        let marker = tail.marker();
        let wants_batches = wants_batches || tail.is_shared();
        self.guard = Some(match &marker {
            _ if !has_batches => Guard::Tail(tail),
            Some(Marker::OneByOne(position)) if wants_batches && !position.is_complete => {
                // From here on the position alone counts.
                let position = Marker::At(position.clone());
                let part = tail.messages(&[], &position, (&self.options, owner));
                let pending = { tail }.send(connection, part)?;
                Guard::Position(connection.sequence(pending)?)
            }
            _ if wants_batches => Guard::Position(sequence),
            Some(Marker::At(_)) => Guard::Bulk(sequence),
            _ => Guard::Tail(tail),
        });
        Ok(marker)
    }

    /// Sends the messages of events and the consumer's position, while the parts before are being stored.
    fn send(&mut self, part: &[Event], marker: &Marker) -> Result<(), BoxError> {
        if self.pending.is_empty() {
            self.connect()?;
        }
        let (options, owner) = (&self.options, &self.owner);
        let connection = self.connection.as_ref().ok_or(NOT_CONNECTED)?;
        let staged = match self.guard.as_mut().ok_or("the position is not read")? {
            Guard::Position(_) | Guard::Bulk(_) => {
                let subject = self.team.record.as_deref().unwrap_or(&owner.subject);
                Staged::send(connection, part, marker, (options, subject))?
            }
            Guard::Tail(tail) => {
                let part = tail.messages(part, marker, (options, owner));
                let pending = tail.send(connection, part)?;
                self.pending.push_back(pending);
                return self.settle_beyond(MAX_PENDING);
            }
        };
        self.settle()?;
        let connection = self.connection.as_ref().ok_or(NOT_CONNECTED)?;
        if let Some(Guard::Position(sequence) | Guard::Bulk(sequence)) = self.guard {
            self.pending.push_back(staged.commit(connection, sequence)?);
        }
        Ok(())
    }

    /// Uses atomic batches for a batch of several parts, if the stream has them. They save the replies to most messages.
    fn begin_bulk(&mut self) {
        let has_batches = self.connection.as_ref().is_some_and(Connection::has_atomic_batches);
        if let (Some(Guard::Tail(tail)), true) = (&self.guard, has_batches) {
            if let Some(sequence) = tail.position_sequence() {
                self.guard = Some(Guard::Bulk(sequence));
            }
        }
    }

    /// Returns to the end of the stream, which is this marker.
    fn end_bulk(&mut self, marker: Marker) {
        if let Some(Guard::Bulk(sequence)) = self.guard {
            self.guard = Some(Guard::Tail(Tail::behind(sequence, marker)));
        }
    }

    /// Waits until all parts that were sent are stored.
    fn settle(&mut self) -> Result<(), BoxError> {
        self.settle_beyond(0)?;
        if let Some(Guard::Tail(tail)) = &mut self.guard {
            tail.settle();
        }
        Ok(())
    }

    /// Waits until no more than this number of parts is not stored.
    fn settle_beyond(&mut self, most: usize) -> Result<(), BoxError> {
        while self.pending.len() > most {
            let Some(pending) = self.pending.pop_front() else { break };
            let sequence = self.connection.as_ref().ok_or(NOT_CONNECTED)?.sequence(pending)?;
            if let Some(Guard::Position(last) | Guard::Bulk(last)) = &mut self.guard {
                *last = sequence;
            }
        }
        Ok(())
    }

    fn store_forgotten(&mut self) -> Result<(), BoxError> {
        self.settle()?;
        self.team.clear();
        self.connect()?;
        let connection = self.connection.as_ref().ok_or(NOT_CONNECTED)?;
        // A message that is not a position is forgotten too.
        self.guard = Some(if connection.has_atomic_batches() {
            let last = connection.last_message(&self.owner.subject)?;
            Guard::Position(last.map_or(0, |message| message.sequence))
        } else {
            Guard::Tail(Tail::without_marker(connection)?)
        });
        self.send(&[], &Marker::Forgotten)?;
        self.settle()?;
        match self.guard {
            Some(Guard::Position(sequence)) => self.remove_records(sequence),
            _ => Ok(()),
        }
    }

    fn disconnect(&mut self) {
        (self.connection, self.guard) = (None, None);
        self.pending.clear();
        self.team.clear();
    }

    /// Drops the connection after an error, so that nothing that it has buffered is sent later.
    fn checked<T>(&mut self, result: Result<T, BoxError>) -> Result<T, BoxError> {
        if result.is_err() {
            self.disconnect();
        }
        result
    }

    /// Returns why the message of an event is too large.
    fn excess(&mut self, event: &Event) -> Result<Option<String>, BoxError> {
        let more = MORE_HEADERS + 3 * self.owner.consumer.len();
        let (columns, all) = message::sizes(event);
        let subject = self.options.subject.longest(columns);
        if self.connect()?.limits().is_small(subject, columns, all + more) {
            return Ok(None);
        }
        let message = Message::of_event(event, &self.options);
        Ok(self.connect()?.limits().excess(&message, more))
    }
}

impl Sink for JetStream {
    /// Connects, and checks server and stream.
    fn startup(&mut self, consumer: &str) -> Result<(), BoxError> {
        self.owner = Owner::of(consumer, &self.options);
        self.disconnect();
        self.connect().map(|_| ())
    }

    /// Fails with [`ErrorKind::LostPosition`](crate::ErrorKind::LostPosition) if the stream has neither a position nor the
    /// note that it was forgotten.
    fn position(&mut self) -> Result<Option<Position>, BoxError> {
        let read = self.read();
        match self.checked(read)? {
            Some(Marker::At(position) | Marker::OneByOne(position)) => Ok(Some(position)),
            Some(Marker::Forgotten) => Ok(None),
            Some(Marker::Ranges(ranges)) => ranges.position().map_err(|error| self.owner.located(error)),
            None => Err(self.owner.lost()),
        }
    }

    fn apply(&mut self, part: &[Event], position: &Position) -> Result<(), BoxError> {
        self.team.selected = None;
        if !position.is_complete {
            self.begin_bulk();
        }
        let position_after = position.clone();
        let marker = match self.guard {
            Some(Guard::Tail(_)) => Marker::OneByOne(position_after),
            Some(Guard::Bulk(_)) if position.is_complete => Marker::OneByOne(position_after),
            _ => Marker::At(position_after),
        };
        let mut sent = self.send(part, &marker);
        // Until the batch ends, events are read while a part is being stored.
        if sent.is_ok() && position.is_complete {
            sent = self.settle();
            self.end_bulk(marker);
        }
        self.checked(sent)
    }

    /// Refuses an event whose message would be larger than server or stream allow.
    fn refuses(&mut self, event: &Event) -> Result<Option<String>, BoxError> {
        let excess = self.excess(event);
        match (self.checked(excess)?, self.options.too_large) {
            (Some(why), TooLarge::Stop) => {
                let what = format!("stream `{}`: event {}", self.owner.stream, event.id());
                Err(dbscript::Error::failed(what).caused_by(why).into())
            }
            (excess, _) => Ok(excess),
        }
    }

    /// Stores a note that there is no position, so that a removed position is not mistaken for a forgotten one.
    fn forget(&mut self) -> Result<(), BoxError> {
        let stored = self.store_forgotten();
        // The next write reads the state again.
        self.guard = None;
        self.checked(stored)
    }

    /// Leaves one message of an atomic batch to the position.
    fn limits(&self) -> Limits {
        Limits { events: atomic::MAX_MESSAGES - 1, ..Limits::default() }
    }
}
