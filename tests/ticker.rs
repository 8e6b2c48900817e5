//! The ticker: by each queue's rules, one beside another, through outages, for many databases.

mod cluster;
mod due_retries;
mod once;
mod outage;
mod procedure;
mod retries;
mod rules;
mod service;
mod standby;
mod stopping;
mod wakeup;

use std::fs;
use std::process::Command;

use postgres::Client;
use tempfile::TempDir;

use crate::support::programs::{Running, command_on};
use crate::support::server::Server;
use crate::support::{output, shared, wait_for};

/// A ticker's folder, with its file and its log.
struct Job {
    folder: TempDir,
}

impl Job {
    /// Makes one for a connection string, with more lines in its file.
    fn new(conninfo: &str, lines: &str) -> Job {
        Job::of("pgqadm", &format!("db = {conninfo}\n{lines}"))
    }

    /// Makes one with a section and its lines; later lines may override the common ones.
    fn of(section: &str, lines: &str) -> Job {
        let job = Job { folder: tempfile::tempdir().expect("a temporary folder") };
        job.write(section, lines);
        job
    }

    fn write(&self, section: &str, lines: &str) {
        let ini = format!(
            "[DEFAULT]\nloop_delay = 0.02\nretry_delay = 0.05\nmaint_delay = 0.05\nexception_sleep = 0.1\n\
             logfile = log\npidfile = pid\n[{section}]\njob_name = job\n{lines}"
        );
        fs::write(self.folder.path().join("job.ini"), ini).expect("the folder is writable");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.command_on(shared(), arguments)
    }

    fn command_on(&self, server: &Server, arguments: &[&str]) -> Command {
        let mut command = command_on(server, "pgqadm", self.folder.path());
        command.arg("job.ini").args(arguments);
        command
    }

    fn start(&self) -> Running {
        Running::start(&mut self.command(&["ticker"]))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    #[track_caller]
    fn wait_for(&self, text: &str) {
        wait_for(text, || self.log().contains(text));
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        output::keep_logs(self.folder.path());
    }
}

/// Creates a queue with rules: most events, most lag, longest idle time.
fn create(client: &mut Client, queue: &str, rules: [&str; 3]) {
    pgq::admin::create_queue(client, queue).expect("the queue is new");
    for (name, value) in ["ticker_max_count", "ticker_max_lag", "ticker_idle_period"].into_iter().zip(rules) {
        client.execute("select pgq.set_queue_config($1, $2, $3)", &[&queue, &name, &value]).expect("set");
    }
}

/// Creates a queue that ticks in every round.
fn create_eager(client: &mut Client, queue: &str) {
    create(client, queue, ["1", "0", "0"]);
}

/// Returns a queue's last tick.
fn last_tick(client: &mut Client, queue: &str) -> i64 {
    let select = "select coalesce(max(tick_id), 0) from pgq.tick join pgq.queue on queue_id = tick_queue \
                  where queue_name = $1";
    client.query_one(select, &[&queue]).expect("readable").get(0)
}

/// Waits until a queue has got some ticks more: so many rounds have passed.
#[track_caller]
fn wait_for_ticks(client: &mut Client, queue: &str, count: i64) {
    let before = last_tick(client, queue);
    wait_for("ticks", || last_tick(client, queue) >= before + count);
}

fn server() -> Server {
    Server::start().unwrap_or_else(|error| panic!("{error}"))
}
