//! Exactly once into a stream of NATS JetStream.
//!
//! The stream has the consumer's [`Position`](crate::sink::Position) as JSON, in messages on a subject of its own. There is no time window.
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
mod store;
mod stream;
mod subject;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use async_nats::ServerAddr;
use pgq::BoxError;

use self::connection::{Connection, Pending};
#[cfg(feature = "script")]
pub use self::keys::KEYS;
use self::owner::Owner;
use self::store::Guard;
use self::subject::Template;

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
    /// such a message. Zero, and more than 292 years, mean for ever; the default is zero.
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
}
