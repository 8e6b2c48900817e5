//! The connection to a stream.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use async_nats::{Client, StatusCode, Subscriber};
use futures_util::{StreamExt, TryStreamExt};
use pgq::BoxError;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::sleep;

use super::Options;
use super::login::connect;
use super::message::Message;
use super::stream::{self, Limits};
use super::subject;

/// How long to wait for the server's reply to a request or for the storing of a part.
pub(super) const REPLY_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest window of duplicates for which servers can keep the id of each message of a large backlog.
const MAX_DUPLICATE_WINDOW: Duration = Duration::from_secs(1);
const STORING: &str = "cannot store messages";
/// The codes of the errors that the last message of a subject or of the stream is another one.
const OTHER_LAST_MESSAGE: [u64; 3] = [10070, 10071, 10164];

/// A connection to a stream.
pub(super) struct Connection {
    /// Runs the client, which also responds to the server while no request is pending.
    runtime: Runtime,
    client: Client,
    /// The reason if the client has lost the connection, or the server has refused a message.
    unusable: watch::Receiver<Option<String>>,
    stream: Stream,
    limits: Limits,
}

impl Connection {
    /// Connects, and checks the stream.
    pub(super) fn open(options: &Options, position_subject: &str) -> Result<Connection, BoxError> {
        if !subject::is_publishable(position_subject) {
            return Err(format!("invalid subject of the position, `{position_subject}`").into());
        }
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (sender, mut unusable) = watch::channel(None);
        let (client, stream) = runtime.block_on(async {
            let client = connect(options, sender).await?;
            let stream = tokio::select! {
                stream = stream::find(&client, options, position_subject) => stream?,
                reason = reason(&mut unusable) => {
                    return Err(stream::failed_to_open(options, reason));
                }
            };
            Ok::<_, BoxError>((client, stream))
        })?;
        let limits = Limits::of(&stream.cached_info().config, client.server_info().max_payload);
        limits.require_taken(position_subject, "the position")?;
        Ok(Connection { runtime, client, unusable, stream, limits })
    }

    /// Returns the limits of the stream's messages.
    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Returns whether the stream stores atomic batches.
    pub(super) fn has_atomic_batches(&self) -> bool {
        self.stream.cached_info().config.allow_atomic_publish
    }

    /// Returns whether messages must not be stored one by one if there is another way.
    ///
    /// - The servers would keep the id of each message of a large backlog for the window of duplicates.
    /// - Servers from 2.12 on disable a replicated stream if a change of its leader makes a message's condition fail.
    pub(super) fn needs_atomic_batches(&self) -> bool {
        let config = &self.stream.cached_info().config;
        config.num_replicas > 1 || config.duplicate_window > MAX_DUPLICATE_WINDOW
    }

    /// Returns whether the connection was lost or the server has refused a message. The client reconnects, but may have lost
    /// messages.
    pub(super) fn is_unusable(&self) -> bool {
        self.unusable.borrow().is_some()
    }

    /// Runs a request until the connection is unusable, at most for [`REPLY_TIMEOUT`].
    fn run<T>(&self, what: &str, request: impl Future<Output = Result<T, BoxError>>) -> Result<T, BoxError> {
        let mut unusable = self.unusable.clone();
        self.runtime.block_on(async {
            tokio::select! {
                result = request => result,
                reason = reason(&mut unusable) => Err(self.failed(what, reason)),
                () = sleep(REPLY_TIMEOUT) => {
                    let why = format!("no reply within {} seconds", REPLY_TIMEOUT.as_secs());
                    Err(self.failed(what, why))
                }
            }
        })
    }

    /// Returns the last message of a subject, from the stream's leader.
    pub(super) fn last_message(&self, subject: &str) -> Result<Option<StreamMessage>, BoxError> {
        let what = "cannot read the position";
        self.run(what, async {
            match self.stream.get_last_raw_message_by_subject(subject).await {
                Ok(message) => Ok(Some(message)),
                Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
                Err(error) => Err(self.failed(what, error)),
            }
        })
    }

    /// Returns the message of a sequence, from the stream's leader; `None` if it was removed.
    pub(super) fn message(&self, sequence: u64) -> Result<Option<StreamMessage>, BoxError> {
        let what = "cannot read a message";
        self.run(what, async {
            match self.stream.get_raw_message(sequence).await {
                Ok(message) => Ok(Some(message)),
                Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
                Err(error) => Err(self.failed(what, error)),
            }
        })
    }

    /// Returns the sequence of the stream's last message, from its leader; 0 if it has never had one.
    pub(super) fn last_sequence(&self) -> Result<u64, BoxError> {
        let what = "cannot read the stream's state";
        self.run(what, async {
            let info = self.stream.get_info().await.map_err(|error| self.failed(what, error))?;
            Ok(info.state.last_sequence)
        })
    }

    /// Returns a text that no other call returns.
    pub(super) fn unique_id(&self) -> String {
        // The random part of an inbox is unique.
        let inbox = self.client.new_inbox();
        inbox.rsplit('.').next().unwrap_or_default().to_owned()
    }

    /// Subscribes to the replies to messages; this number of them report that a message is stored.
    pub(super) fn replies(&self, way: Way, expected: usize) -> Result<Pending, BoxError> {
        let inbox = self.client.new_inbox();
        let replies = self.run(STORING, async { Ok(self.client.subscribe(inbox.clone()).await?) })?;
        Ok(Pending { inbox, replies, expected, way })
    }

    /// Sends messages to be stored, without waiting for the replies.
    pub(super) fn send(&self, messages: Vec<Message>, pending: &Pending) -> Result<(), BoxError> {
        for message in &messages {
            self.limits.check(message)?;
        }
        self.run(STORING, async {
            for message in messages {
                self.publish(message, &pending.inbox).await?;
            }
            Ok(())
        })
    }

    /// Waits until messages are stored, and returns the sequence of the last one.
    pub(super) fn sequence(&self, pending: Pending) -> Result<u64, BoxError> {
        self.run(STORING, self.sequence_in(pending))
    }

    /// As [`sequence`](Connection::sequence); `None` if a condition was not met, so that nothing was stored.
    pub(super) fn sequence_unless_refused(&self, pending: Pending) -> Result<Option<u64>, BoxError> {
        match self.sequence(pending) {
            Ok(sequence) => Ok(Some(sequence)),
            Err(error) if is_refused(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the subjects of the stream's messages that a filter takes.
    pub(super) fn subjects(&self, filter: &str) -> Result<Vec<String>, BoxError> {
        let what = "cannot list the records";
        self.run(what, async {
            let found =
                self.stream.info_with_subjects(filter).await.map_err(|error| self.failed(what, error))?;
            let found = found.map_ok(|(subject, _)| subject).try_collect().await;
            found.map_err(|error| self.failed(what, error))
        })
    }

    /// Removes the messages of a subject up to a sequence.
    pub(super) fn remove(&self, subject: &str, sequence: u64) -> Result<(), BoxError> {
        let what = "cannot remove a record";
        self.run(what, async {
            let purged = self.stream.purge().filter(subject).sequence(sequence.saturating_add(1)).await;
            purged.map(|_| ()).map_err(|error| self.failed(what, error))
        })
    }

    /// Checks that the stream can have a record for each open batch of a consumer.
    pub(super) fn require_records(&self, position_subject: &str) -> Result<(), BoxError> {
        stream::check_records(&self.stream.cached_info().config)?;
        self.limits.require_records(position_subject)
    }

    async fn publish(&self, message: Message, inbox: &str) -> Result<(), BoxError> {
        let Message { subject, headers, payload, has_reply, .. } = message;
        if has_reply {
            let reply = inbox.to_owned();
            self.client.publish_with_reply_and_headers(subject, reply, headers, payload.into()).await?;
        } else {
            self.client.publish_with_headers(subject, headers, payload.into()).await?;
        }
        Ok(())
    }

    /// Returns the sequence in the last expected reply. An empty reply, which a batch's first message has, does not count.
    async fn sequence_in(&self, pending: Pending) -> Result<u64, BoxError> {
        let Pending { mut replies, expected, way, .. } = pending;
        let mut count = 0;
        while let Some(reply) = replies.next().await {
            if reply.status == Some(StatusCode::NO_RESPONDERS) {
                return Err(self.failed(STORING, "no stream takes the subject"));
            }
            if reply.payload.is_empty() {
                continue;
            }
            let value: Value = serde_json::from_slice(&reply.payload)?;
            if let Some(error) = value.get("error") {
                return Err(self.refused(error, way).await);
            }
            count += 1;
            if count == expected {
                return value["seq"].as_u64().ok_or_else(|| "the server's reply has no sequence".into());
            }
        }
        Err(self.failed(STORING, "the connection was closed"))
    }

    /// Makes the error of messages that the stream has refused.
    async fn refused(&self, error: &Value, way: Way) -> BoxError {
        let description = error["description"].as_str().unwrap_or("the server gives no reason");
        if !error["err_code"].as_u64().is_some_and(|code| OTHER_LAST_MESSAGE.contains(&code)) {
            return self.failed(STORING, description);
        }
        // The message before may have been refused for lack of a permission, which the server reports apart from replies.
        // Another request gives the client the time to receive that.
        let _ = self.stream.get_info().await;
        if let Some(reason) = &*self.unusable.borrow() {
            return self.failed(STORING, reason.as_str());
        }
        let others = match way {
            Way::AtomicBatch => "by another process of this consumer or a request of an earlier connection",
            Way::OneByOne => {
                "by another writer, another process of this consumer or a request of an earlier connection"
            }
        };
        let why = format!("the stream was changed meanwhile, {others}: {description}");
        self.failed("refused a part of a batch", Refused(why))
    }

    fn failed(&self, what: &str, why: impl Into<BoxError>) -> BoxError {
        self.limits.failed(what, why)
    }
}

/// Waits until there is a reason for which the connection is unusable, and returns it.
async fn reason(unusable: &mut watch::Receiver<Option<String>>) -> String {
    let reason = unusable.wait_for(Option::is_some).await;
    reason.ok().and_then(|reason| reason.clone()).unwrap_or_else(|| "the client has ended".to_owned())
}

/// The stream has refused messages, since it was changed meanwhile. Nothing was stored.
#[derive(Debug)]
struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Refused {}

/// Returns whether a condition was not met, so that nothing was stored.
fn is_refused(error: &BoxError) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&**error);
    while let Some(error) = cause {
        if error.is::<Refused>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Messages in flight: sent, and neither stored nor refused yet.
pub(super) struct Pending {
    inbox: String,
    replies: Subscriber,
    /// How many of them are needed.
    expected: usize,
    way: Way,
}

/// How messages are stored.
#[derive(Clone, Copy)]
pub(super) enum Way {
    AtomicBatch,
    OneByOne,
}
