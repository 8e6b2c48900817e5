//! The connection to a stream.

use std::future::Future;
use std::time::Duration;

use async_nats::jetstream::stream::{Config, LastRawMessageErrorKind, Stream};
use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectOptions, Event, ServerAddr, StatusCode, Subscriber};
use futures_util::StreamExt;
use log::debug;
use percent_encoding::percent_decode_str;
use pgq::BoxError;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::sleep;

use super::Options;
use super::message::Message;
use super::subject;

/// How long to wait for the server's reply to a request or an atomic batch.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);
/// The first server that has atomic batches.
const SERVER_VERSION: (i64, i64, i64) = (2, 12, 0);
/// The code of the error that the last message of a subject is another one.
const WRONG_LAST_SEQUENCE: [u64; 2] = [10071, 10164];

/// A connection to a stream that has atomic batches.
pub(super) struct Connection {
    /// Runs the client, which also responds to the server while no request is pending.
    runtime: Runtime,
    client: Client,
    /// Whether the client has lost a connection since the first one.
    lost: watch::Receiver<bool>,
    stream: Stream,
    name: String,
    subjects: Vec<String>,
    /// The largest message of the stream in bytes, with its headers; `None` without a limit.
    max_message_size: Option<usize>,
}

/// Returns the addresses of a list separated by commas.
pub(super) fn servers(url: &str) -> Result<Vec<ServerAddr>, BoxError> {
    let addresses = url.split(',').map(str::trim).filter(|address| !address.is_empty());
    // The address may hold a password, so the error does not show it.
    let parsed: Result<Vec<ServerAddr>, _> = addresses.map(str::parse).collect();
    match parsed {
        Ok(servers) if !servers.is_empty() => Ok(servers),
        Ok(_) => Err("no NATS server: the URL must be such as `nats://127.0.0.1:4222`".into()),
        Err(error) => Err(format!("invalid URL of a NATS server: {error}").into()),
    }
}

impl Connection {
    pub(super) fn open(options: &Options, position_subject: &str) -> Result<Connection, BoxError> {
        if !subject::is_publishable(position_subject) {
            return Err(format!("invalid subject of the position, `{position_subject}`").into());
        }
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (sender, lost) = watch::channel(false);
        let (client, stream) = runtime.block_on(async {
            let client = connect(options, sender).await?;
            let stream = find_stream(&client, options, position_subject).await?;
            Ok::<_, BoxError>((client, stream))
        })?;
        let config = &stream.cached_info().config;
        let name = options.stream.clone();
        if !config.allow_atomic_publish {
            return Err(format!(
                "stream `{name}` has no atomic batches; `nats stream edit {name} --allow-batch` enables them"
            )
            .into());
        }
        let connection = Connection {
            subjects: config.subjects.clone(),
            max_message_size: usize::try_from(config.max_message_size).ok().filter(|size| *size > 0),
            runtime,
            client,
            lost,
            stream,
            name,
        };
        connection.require_taken(position_subject, "the position")?;
        Ok(connection)
    }

    /// Returns whether the server has closed the connection. The client reconnects, but may have lost messages.
    pub(super) fn is_lost(&self) -> bool {
        *self.lost.borrow()
    }

    /// Runs a request until the connection is lost, at most for [`REPLY_TIMEOUT`].
    fn run<T>(&self, what: &str, request: impl Future<Output = Result<T, BoxError>>) -> Result<T, BoxError> {
        let mut lost = self.lost.clone();
        self.runtime.block_on(async {
            tokio::select! {
                result = request => result,
                _ = lost.wait_for(|is_lost| *is_lost) => Err(self.failed(what, "the connection is lost")),
                () = sleep(REPLY_TIMEOUT) => {
                    let why = format!("no reply within {} seconds", REPLY_TIMEOUT.as_secs());
                    Err(self.failed(what, why))
                }
            }
        })
    }

    /// Returns the sequence and the payload of the last message of a subject, from the stream's leader.
    pub(super) fn last_message(&self, subject: &str) -> Result<Option<(u64, Vec<u8>)>, BoxError> {
        let what = "cannot read the position";
        self.run(what, async {
            match self.stream.get_last_raw_message_by_subject(subject).await {
                Ok(message) => Ok(Some((message.sequence, message.payload.to_vec()))),
                Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
                Err(error) => Err(self.failed(what, error)),
            }
        })
    }

    /// Stores messages as one atomic batch and returns the sequence of the last one.
    pub(super) fn publish(&self, mut messages: Vec<Message>) -> Result<u64, BoxError> {
        let count = messages.len();
        // The random part of an inbox is unique.
        let id = self.client.new_inbox();
        let id = id.rsplit('.').next().unwrap_or_default();
        for (at, message) in messages.iter_mut().enumerate() {
            message.set_batch(id, at + 1, at + 1 == count);
            self.check(message)?;
        }
        self.run("cannot store messages", async {
            let inbox = self.client.new_inbox();
            let mut replies = self.client.subscribe(inbox.clone()).await?;
            for (at, message) in messages.into_iter().enumerate() {
                self.send(message, (at == 0 || at + 1 == count).then_some(inbox.as_str())).await?;
            }
            self.sequence_in(&mut replies).await
        })
    }

    async fn send(&self, message: Message, reply: Option<&str>) -> Result<(), BoxError> {
        let Message { subject, headers, payload, .. } = message;
        match reply {
            Some(reply) => {
                let reply = reply.to_owned();
                self.client.publish_with_reply_and_headers(subject, reply, headers, payload.into()).await?;
            }
            None => self.client.publish_with_headers(subject, headers, payload.into()).await?,
        }
        Ok(())
    }

    /// Returns the sequence in the reply to the last message. The reply to the first one is empty unless it is an error.
    async fn sequence_in(&self, replies: &mut Subscriber) -> Result<u64, BoxError> {
        while let Some(reply) = replies.next().await {
            if reply.status == Some(StatusCode::NO_RESPONDERS) {
                return Err(self.failed("cannot store messages", "no stream takes the subject"));
            }
            if reply.payload.is_empty() {
                continue;
            }
            let value: Value = serde_json::from_slice(&reply.payload)?;
            if let Some(error) = value.get("error") {
                return Err(self.refused(error));
            }
            return value["seq"].as_u64().ok_or_else(|| "the server's reply has no sequence".into());
        }
        Err(self.failed("cannot store messages", "the connection was closed"))
    }

    /// Makes the error of a batch that the stream has refused.
    fn refused(&self, error: &Value) -> BoxError {
        let description = error["description"].as_str().unwrap_or("the server gives no reason");
        if error["err_code"].as_u64().is_some_and(|code| WRONG_LAST_SEQUENCE.contains(&code)) {
            let why =
                format!("another process of this consumer has stored a position meanwhile: {description}");
            return self.failed("refused a batch", why);
        }
        self.failed("cannot store messages", description)
    }

    /// Fails for a message that the stream would not store, since most messages of a batch get no reply of their own.
    fn check(&self, message: &Message) -> Result<(), BoxError> {
        let what = message.event.map_or("the position".to_owned(), |id| format!("event {id}"));
        self.require_taken(&message.subject, &what)?;
        let size = message.size();
        let limits = [
            ("the server's limit `max_payload`", Some(self.client.server_info().max_payload)),
            ("the stream's limit `max_msg_size`", self.max_message_size),
        ];
        for (name, limit) in limits {
            if let Some(limit) = limit.filter(|limit| size > *limit) {
                let why = format!("its message of {size} bytes exceeds {name} of {limit} bytes");
                return Err(self.failed(&what, why));
            }
        }
        Ok(())
    }

    fn require_taken(&self, subject: &str, what: &str) -> Result<(), BoxError> {
        if self.subjects.iter().any(|filter| subject::takes(filter, subject)) {
            return Ok(());
        }
        let subjects = self.subjects.join("`, `");
        Err(self.failed(what, format!("the stream does not take subject `{subject}`, it takes `{subjects}`")))
    }

    fn failed(&self, what: &str, why: impl Into<BoxError>) -> BoxError {
        dbscript::Error::failed(format!("stream `{}`: {what}", self.name)).caused_by(why).into()
    }
}

async fn connect(options: &Options, lost: watch::Sender<bool>) -> Result<Client, BoxError> {
    let hosts: Vec<String> =
        options.servers.iter().map(|server| format!("`{}:{}`", server.host(), server.port())).collect();
    let hosts = hosts.join(", ");
    let connecting = login(options).await?.request_timeout(Some(REPLY_TIMEOUT)).name("pgq");
    let connecting = connecting.event_callback(move |event| {
        debug!("NATS: {event}");
        if let Event::Disconnected | Event::Closed = event {
            lost.send_replace(true);
        }
        std::future::ready(())
    });
    let servers: Vec<ServerAddr> = options.servers.iter().map(without_login).collect::<Result<_, _>>()?;
    let client = connecting.connect(&servers).await.map_err(|error| {
        dbscript::Error::failed(format!("cannot connect to NATS at {hosts}")).caused_by(error)
    })?;
    let (major, minor, patch) = SERVER_VERSION;
    if !client.is_server_compatible(major, minor, patch) {
        let version = client.server_info().version;
        return Err(format!(
            "the NATS server at {hosts} has version {version}, atomic batches need {major}.{minor} or newer"
        )
        .into());
    }
    Ok(client)
}

/// Returns an address without user, password and token: the client writes the addresses to the log.
fn without_login(server: &ServerAddr) -> Result<ServerAddr, BoxError> {
    let mut url = server.clone().into_inner();
    let is_removed = url.set_username("").is_ok() && url.set_password(None).is_ok();
    match is_removed {
        true => Ok(ServerAddr::from_url(url)?),
        false => Err(format!("the address of NATS server `{}` cannot have a user", server.host()).into()),
    }
}

/// Returns the options of a connection, with the credentials of the file or else of the first address that has some.
async fn login(options: &Options) -> Result<ConnectOptions, BoxError> {
    if let Some(file) = &options.credentials {
        return ConnectOptions::with_credentials_file(file).await.map_err(|error| {
            let what = format!("cannot read the credentials in `{}`", file.display());
            dbscript::Error::failed(what).caused_by(error).into()
        });
    }
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let user = options.servers.iter().find_map(|server| Some((server.username()?, server.password())));
    Ok(match user {
        Some((user, Some(password))) => {
            ConnectOptions::with_user_and_password(decoded(user), decoded(password))
        }
        Some((token, None)) => ConnectOptions::with_token(decoded(token)),
        None => ConnectOptions::new(),
    })
}

/// Returns the stream, which is created if that is wanted.
async fn find_stream(client: &Client, options: &Options, position_subject: &str) -> Result<Stream, BoxError> {
    let context: Context = jetstream::new(client.clone());
    if !client.server_info().jetstream {
        return Err(
            "the NATS server has no JetStream; `jetstream {}` in its file or `nats-server -js` enables it"
                .into(),
        );
    }
    let name = &options.stream;
    let found = match options.replicas {
        None => context.get_stream(name).await.map_err(BoxError::from),
        Some(replicas) => {
            let config = new_stream(options, replicas, position_subject);
            context.get_or_create_stream(config).await.map_err(BoxError::from)
        }
    };
    found.map_err(|error| {
        dbscript::Error::failed(format!("cannot open stream `{name}`")).caused_by(error).into()
    })
}

fn new_stream(options: &Options, num_replicas: usize, position_subject: &str) -> Config {
    let positions = match &options.position_subject {
        Some(_) => position_subject.to_owned(),
        None => format!("pgq_position.{}.*", options.stream),
    };
    let events = options.subject.wildcard();
    let subjects = if subject::takes(&events, &positions) { vec![events] } else { vec![events, positions] };
    Config {
        name: options.stream.clone(),
        subjects,
        num_replicas,
        allow_atomic_publish: true,
        ..Config::default()
    }
}
