//! Programs without queues, each with its file, its folder and a database of its own.

use std::fs;
use std::path::Path;
use std::process::Command;

use postgres::{Client, NoTls};
use tempfile::TempDir;

use super::programs::{self, Running};
use super::{Database, output, wait_for};

/// The keys that every file starts with; rounds follow each other quickly.
const COMMON: &str = "[DEFAULT]\nloop_delay = 0.01\nexception_sleep = 0.01\npidfile = job.pid\n\
                      logfile = job.log\n";

/// A program's file `job.ini`; the program logs to `job.log` and has its pidfile in `job.pid`.
pub(crate) struct TestJob {
    program: &'static str,
    conninfo: String,
    folder: TempDir,
    /// Dropped after the test, unless the job is on a server of its own.
    _database: Option<Database>,
}

impl TestJob {
    /// Describes `run_sql` with a statement.
    pub(crate) fn sql(sql: &str) -> TestJob {
        TestJob::of("run_sql", &format!("sql = {sql}\n"))
    }

    /// Describes a program with lines of its file.
    pub(crate) fn of(program: &'static str, lines: &str) -> TestJob {
        let database = Database::create("job");
        let conninfo = database.conninfo();
        TestJob::with(program, conninfo, Some(database), lines)
    }

    /// Describes `run_sql` on another server than the shared one.
    pub(crate) fn sql_at(conninfo: &str, sql: &str) -> TestJob {
        TestJob::with("run_sql", conninfo.to_owned(), None, &format!("sql = {sql}\n"))
    }

    fn with(program: &'static str, conninfo: String, database: Option<Database>, lines: &str) -> TestJob {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let job = TestJob { program, conninfo, folder, _database: database };
        job.write_ini(lines);
        job
    }

    /// Writes the file anew; `lines` may override the common ones.
    pub(crate) fn write_ini(&self, lines: &str) {
        let ini = format!("{COMMON}[{}]\ndb = {}\n{lines}", self.program, self.conninfo);
        fs::write(self.path().join("job.ini"), ini).expect("the folder is writable");
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.conninfo, NoTls).expect("the server accepts connections")
    }

    /// Makes the command: switches, then the file.
    pub(crate) fn command(&self, switches: &[&str]) -> Command {
        let mut command = programs::command(self.program, self.path());
        command.args(switches).arg("job.ini");
        command
    }

    /// Starts the program and returns when its pidfile is there.
    pub(crate) fn start(&self, switches: &[&str]) -> Running {
        self.start_with(&mut self.command(switches))
    }

    pub(crate) fn start_with(&self, command: &mut Command) -> Running {
        let running = Running::start(command);
        wait_for("the pidfile", || self.pid() == Some(running.pid()));
        running
    }

    /// Returns the process id of the pidfile.
    pub(crate) fn pid(&self) -> Option<i32> {
        fs::read_to_string(self.path().join("job.pid")).ok()?.trim().parse().ok()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path().join("job.log")).unwrap_or_default()
    }

    /// Returns how many lines of the log hold a text.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.log().lines().filter(|line| line.contains(text)).count()
    }

    /// Waits until the log holds a text.
    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str) {
        wait_for(text, || self.log().contains(text));
    }
}

impl Drop for TestJob {
    fn drop(&mut self) {
        output::keep_logs(self.path());
    }
}
