//! The stream: how it is found or created, and which messages it takes.

use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::stream::{Config, RetentionPolicy, Stream};
use async_nats::jetstream::{self, Context};
use log::info;
use pgq::BoxError;

use super::Options;
use super::message::Message;
use super::subject;

/// The first server that has atomic batches.
const ATOMIC_BATCHES: (i64, i64, i64) = (2, 12, 0);
/// The shortest time for which servers remember the ids of messages.
const MIN_DUPLICATE_WINDOW: Duration = Duration::from_millis(100);
/// The longest subject, in bytes. A line of the protocol has two subjects, and servers accept lines of 4,096 bytes by default
/// (`max_control_line`).
const MAX_SUBJECT: usize = 2_048;
/// The most bytes of headers that a stream accepts.
const MAX_HEADERS: usize = 65_535;

/// Returns the stream, which is created if that is wanted.
pub(super) async fn find(
    client: &Client,
    options: &Options,
    position_subject: &str,
) -> Result<Stream, BoxError> {
    if !client.server_info().jetstream {
        return Err(
            "the NATS server has no JetStream; `jetstream {}` in its file or `nats-server -js` enables it"
                .into(),
        );
    }
    let context: Context = jetstream::new(client.clone());
    let (major, minor, patch) = ATOMIC_BATCHES;
    let has_atomic_batches = client.is_server_compatible(major, minor, patch);
    let name = &options.stream;
    let found = match options.replicas {
        None => context.get_stream(name).await.map_err(BoxError::from),
        Some(replicas) => {
            let mut config = new_stream(options, replicas, position_subject);
            config.allow_atomic_publish = has_atomic_batches;
            context.get_or_create_stream(config).await.map_err(BoxError::from)
        }
    };
    let stream = found.map_err(|error| failed_to_open(options, error))?;
    check(&stream.cached_info().config, has_atomic_batches)?;
    Ok(stream)
}

/// Makes the error of a stream that cannot be found or created.
pub(super) fn failed_to_open(options: &Options, why: impl Into<BoxError>) -> BoxError {
    dbscript::Error::failed(format!("cannot open stream `{}`", options.stream)).caused_by(why).into()
}

fn new_stream(options: &Options, num_replicas: usize, position_subject: &str) -> Config {
    let positions = match &options.position_subject {
        Some(_) => position_subject.to_owned(),
        None => format!("pgq_position.{}.*", options.stream),
    };
    let events = options.subject.wildcard();
    let mut subjects = vec![events];
    for positions in [subject::of_records(&positions), positions] {
        if !subject::takes(&subjects[0], &positions) {
            subjects.insert(1, positions);
        }
    }
    let is_countable = i64::try_from(options.max_age.as_nanos()).is_ok();
    Config {
        name: options.stream.clone(),
        subjects,
        num_replicas,
        // Servers count nanoseconds in 63 bits, 292 years.
        max_age: if is_countable { options.max_age } else { Duration::ZERO },
        max_bytes: i64::try_from(options.max_bytes).unwrap_or(i64::MAX),
        // No message comes again with the same id.
        duplicate_window: MIN_DUPLICATE_WINDOW,
        ..Config::default()
    }
}

fn check(config: &Config, has_atomic_batches: bool) -> Result<(), BoxError> {
    let name = &config.name;
    if let Some(original) = &config.mirror {
        let original = &original.name;
        return Err(
            format!("stream `{name}` is a mirror of stream `{original}` and takes no messages").into()
        );
    }
    if config.retention == RetentionPolicy::Interest {
        return Err(format!(
            "stream `{name}` removes messages that no consumer of it reads (retention by interest), so that it cannot \
             keep the position"
        )
        .into());
    }
    if has_atomic_batches && !config.allow_atomic_publish && config.num_replicas > 1 {
        return Err(format!(
            "stream `{name}` has replicas and no atomic batches; `nats stream edit {name} --allow-batch` enables them"
        )
        .into());
    }
    if !config.allow_atomic_publish {
        info!(
            "stream `{name}` has no atomic batches and should have no other writer; on servers from 2.12 on, `nats stream edit \
             {name} --allow-batch` enables them"
        );
    }
    Ok(())
}

/// Checks that a stream can have a record for each open batch.
pub(super) fn check_records(config: &Config) -> Result<(), BoxError> {
    let name = &config.name;
    if !config.allow_atomic_publish {
        return Err(format!(
            "subconsumers need atomic batches, which stream `{name}` does not have; on servers from 2.12 on, `nats stream \
             edit {name} --allow-batch` enables them"
        )
        .into());
    }
    if config.deny_purge {
        return Err(format!(
            "stream `{name}` denies purges, and subconsumers remove the records of finished batches"
        )
        .into());
    }
    Ok(())
}

/// The limits of a stream's messages.
pub(super) struct Limits {
    name: String,
    subjects: Vec<String>,
    /// The largest message of the server in bytes, with its headers.
    max_payload: usize,
    /// The largest message of the stream in bytes, with its headers; `None` without a limit.
    max_message_size: Option<usize>,
}

impl Limits {
    pub(super) fn of(config: &Config, max_payload: usize) -> Limits {
        Limits {
            name: config.name.clone(),
            subjects: config.subjects.clone(),
            max_payload,
            max_message_size: usize::try_from(config.max_message_size).ok().filter(|size| *size > 0),
        }
    }

    /// Fails for a message that the stream would not store, since most messages of a batch get no reply of their own.
    pub(super) fn check(&self, message: &Message) -> Result<(), BoxError> {
        let what = message.event.map_or("the position".to_owned(), |id| format!("event {id}"));
        self.require_taken(&message.subject, &what)?;
        match self.excess(message, 0) {
            Some(why) => Err(self.failed(&what, why)),
            None => Ok(()),
        }
    }

    /// Returns the reason if a message with so many more bytes of headers is too large.
    pub(super) fn excess(&self, message: &Message, more: usize) -> Option<String> {
        let headers = message.header_size() + more;
        let size = headers + message.payload.len();
        let sizes = [
            ("subject", message.subject.len(), Some(MAX_SUBJECT), "the limit"),
            ("message", size, Some(self.max_payload), "the server's limit `max_payload`"),
            ("message", size, self.max_message_size, "the stream's limit `max_msg_size`"),
            ("headers", headers, Some(MAX_HEADERS), "the limit"),
        ];
        sizes.into_iter().find_map(|(part, size, limit, name)| {
            let limit = limit.filter(|limit| size > *limit)?;
            Some(format!("its {part} of {size} bytes exceeds {name} of {limit} bytes"))
        })
    }

    /// Returns whether a message fits without building it: by the most bytes of its subject, the bytes of the columns in
    /// headers, and those of all columns. A byte becomes at most three in a header, and at most six in JSON.
    pub(super) fn is_small(&self, subject: usize, columns: usize, all: usize) -> bool {
        let largest = self.max_message_size.unwrap_or(self.max_payload).min(self.max_payload);
        subject <= MAX_SUBJECT && columns * 3 + all * 6 + 2 * MAX_SUBJECT <= largest
    }

    pub(super) fn require_taken(&self, subject: &str, what: &str) -> Result<(), BoxError> {
        if self.subjects.iter().any(|filter| subject::takes(filter, subject)) {
            return Ok(());
        }
        let subjects = self.subjects.join("`, `");
        Err(self.failed(what, format!("the stream does not take subject `{subject}`, it takes `{subjects}`")))
    }

    /// Fails unless the stream takes the records of all batches of a consumer with this position's subject.
    pub(super) fn require_records(&self, position_subject: &str) -> Result<(), BoxError> {
        self.require_taken(&subject::of_records(position_subject), "the records of subconsumers' batches")
    }

    pub(super) fn failed(&self, what: &str, why: impl Into<BoxError>) -> BoxError {
        dbscript::Error::failed(format!("stream `{}`: {what}", self.name)).caused_by(why).into()
    }
}
