//! Running the project's programs as an operator would.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use postgres::Client;
use tempfile::TempDir;

use super::server::Server;
use super::{Database, other, output, queues, shared, templates, wait_for};

pub(crate) const JOB: &str = "eventlog_to_target_mover";
pub(crate) const SOURCE_QUEUE: &str = "eventlog";
pub(crate) const TARGET_QUEUE: &str = "copy_of_eventlog";

/// The mover's file as its manual page prints it.
pub(crate) const MOVER_INI: &str = "\
[queue_mover]
job_name = eventlog_to_target_mover
src_db = dbname=sourcedb
dst_db = dbname=targetdb
pgq_queue_name = eventlog
dst_queue_name = copy_of_eventlog
pidfile = log/%(job_name)s.pid
logfile = pid/%(job_name)s.log
";

/// The programs of the package `pgq_programs`.
const PROGRAMS: [&str; 4] = ["jetstream_mover", "mailer", "pgqadm", "queue_mover"];

/// Returns the path of a program or an example that cargo built from `examples/`.
pub(crate) fn program(name: &str) -> PathBuf {
    let tests = std::env::current_exe().expect("the path of the test's program");
    let target = tests.ancestors().nth(2).expect("tests are built into deps/");
    let folder = if PROGRAMS.contains(&name) { target.to_owned() } else { target.join("examples") };
    let program = folder.join(name);
    let build = "run `cargo build --workspace --all-features --bins --examples`";
    assert!(program.exists(), "{} is missing: {build}", program.display());
    program
}

/// Copies a program, which can be started at once: a file that this process wrote itself may be busy, as long as a
/// process that another test starts has not closed it yet.
pub(crate) fn copy(program: &Path, to: &Path) {
    succeed(Command::new("cp").arg(program).arg(to));
}

/// Makes a command for a program in a folder, with the shared server as its default server.
pub(crate) fn command(name: &str, folder: &Path) -> Command {
    command_on(shared(), name, folder)
}

/// Makes a command for a program in a folder, with its default server.
pub(crate) fn command_on(server: &Server, name: &str, folder: &Path) -> Command {
    let mut command = Command::new(program(name));
    command
        .current_dir(folder)
        .env("PGHOST", server.socket_dir())
        .env("PGPORT", server.port().to_string())
        .env("PGUSER", "postgres")
        .env_remove("PGPASSWORD")
        .env_remove("PGDATABASE")
        .env_remove("PGSERVICE")
        .stdin(Stdio::null());
    command
}

/// Runs a command to its end and expects success.
#[track_caller]
pub(crate) fn succeed(command: &mut Command) -> Output {
    let output = command.output().expect("the program starts");
    let errors = errors(&output);
    assert!(output.status.success(), "{command:?}: {errors}");
    output
}

/// Returns the standard error of a program.
pub(crate) fn errors(output: &Output) -> String {
    output::keep(&output.stdout);
    output::keep(&output.stderr);
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A program that runs in the background of a test and does not outlive it.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Running {
        Running::start_with(command, output::sink())
    }

    /// Starts a program with a standard error of its own.
    pub(crate) fn start_with(command: &mut Command, stderr: impl Into<Stdio>) -> Running {
        let child = command.stdout(Stdio::null()).stderr(stderr).spawn();
        Running(child.expect("the program starts"))
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).expect("a process id")
    }

    /// Returns how much memory it has, in kilobytes.
    pub(crate) fn memory(&self) -> i64 {
        self.status("VmRSS:")
    }

    /// Returns how much memory it had at most, in kilobytes.
    pub(crate) fn peak_memory(&self) -> i64 {
        self.status("VmHWM:")
    }

    fn status(&self, what: &str) -> i64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(what)).expect("it has memory");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("the process is there");
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.0.try_wait().expect("the process is a child").is_none()
    }

    /// Waits for the end and returns the exit status, which is none after a signal.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        wait_for("the program to end", || !self.is_running());
        self.0.wait().expect("the process is a child").code()
    }

    pub(crate) fn kill(&mut self) {
        // A process that has already ended needs no signal.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The server of one end of a [`Pair`].
#[derive(Clone)]
enum Home {
    Shared(&'static Server),
    Own(Arc<Server>),
}

impl Home {
    fn own() -> Home {
        Home::Own(Arc::new(Server::start().unwrap_or_else(|error| panic!("{error}"))))
    }

    fn server(&self) -> &Server {
        match self {
            Home::Shared(server) => server,
            Home::Own(server) => server,
        }
    }
}

/// A source and a target database with queues, and a folder with the mover's file.
pub(crate) struct Pair {
    pub(crate) folder: TempDir,
    pub(crate) source: String,
    pub(crate) target: String,
    homes: [Home; 2],
    /// Those that are on shared servers; dropped with the pair.
    _databases: Vec<Database>,
}

impl Pair {
    /// Makes a pair on the shared server.
    pub(crate) fn create() -> Pair {
        Pair::on([Home::Shared(shared()), Home::Shared(shared())])
    }

    /// Makes a pair on two shared servers, whose transaction ids are far apart.
    pub(crate) fn on_two_servers() -> Pair {
        Pair::on([Home::Shared(shared()), Home::Shared(other())])
    }

    /// Makes a pair on a server of its own, which the test may restart.
    pub(crate) fn on_own_server() -> Pair {
        let home = Home::own();
        Pair::on([home.clone(), home])
    }

    /// Makes a pair on two servers of its own, which the test may restart.
    pub(crate) fn on_two_own_servers() -> Pair {
        Pair::on([Home::own(), Home::own()])
    }

    fn on(homes: [Home; 2]) -> Pair {
        let mut databases = Vec::new();
        let mut names = Vec::new();
        for (home, (name, queue)) in homes.iter().zip([("source", SOURCE_QUEUE), ("target", TARGET_QUEUE)]) {
            let mut client = match home {
                Home::Shared(server) => {
                    let (database, client) = templates::prepared_on(server, name);
                    names.push(database.name().to_owned());
                    databases.push(database);
                    client
                }
                Home::Own(server) => {
                    names.push(name.to_owned());
                    server.create_database(name);
                    let mut client = server.client(name);
                    queues::install(&mut client);
                    client
                }
            };
            queues::create(&mut client, queue);
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [source, target] = names.try_into().expect("two names");
        let pair = Pair { folder, source, target, homes, _databases: databases };
        pair.write_ini("");
        pair
    }

    /// Returns the source's server.
    pub(crate) fn server(&self) -> &Server {
        self.homes[0].server()
    }

    pub(crate) fn target_server(&self) -> &Server {
        self.homes[1].server()
    }

    pub(crate) fn source_client(&self) -> Client {
        self.server().client(&self.source)
    }

    pub(crate) fn target_client(&self) -> Client {
        self.target_server().client(&self.target)
    }

    /// Writes the file of the manual page with this pair's databases, and `more` lines.
    pub(crate) fn write_ini(&self, more: &str) {
        let mut ini = MOVER_INI.replace("sourcedb", &self.source);
        if self.server().dir() == self.target_server().dir() {
            ini = ini.replace("targetdb", &self.target);
        } else {
            ini = ini.replace("dbname=targetdb", &self.target_server().conninfo(&self.target));
        }
        let text = format!("{ini}loop_delay = 0.05\nexception_sleep = 0.05\n{more}");
        fs::write(self.folder.path().join("mover.ini"), text).expect("the folder is writable");
    }

    /// Makes the command of the mover: switches, then the file.
    pub(crate) fn mover(&self, switches: &[&str]) -> Command {
        let mut command = command_on(self.server(), "queue_mover", self.folder.path());
        command.args(switches).arg("mover.ini");
        command
    }

    /// Registers the mover, so that events that are inserted from now on are moved.
    pub(crate) fn register(&self) {
        succeed(&mut self.mover(&["--register"]));
    }

    /// Moves all that is there and ends.
    pub(crate) fn drain(&self) -> Output {
        succeed(&mut self.mover(&["--set", "loop_delay=0"]))
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join(format!("pid/{JOB}.log"))).unwrap_or_default()
    }

    pub(crate) fn pidfile(&self) -> PathBuf {
        self.folder.path().join(format!("log/{JOB}.pid"))
    }

    /// Fails unless the target holds exactly the source's events, in order, with every column.
    #[track_caller]
    pub(crate) fn assert_moved(&self) {
        let source = queues::events(&mut self.source_client(), SOURCE_QUEUE);
        let target = queues::events(&mut self.target_client(), TARGET_QUEUE);
        assert_eq!(source.len(), target.len(), "{}", self.log());
        for (at, (source, target)) in source.iter().zip(&target).enumerate() {
            assert_eq!(source, target, "event {at}");
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        output::keep_logs(self.folder.path());
    }
}
