//! Workers on python-pgq's `CoopConsumer`.

use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::*;
use crate::support::programs::{Running, succeed};
use crate::support::{shared, wait_for};

/// Records every event in the batch's transaction. A worker with a file to wait for says that it has a batch,
/// and processes its first one when the file is there.
const WORKER: &str = r#"
import os, sys, time, pgq
class Worker(pgq.CoopConsumer):
    def process_batch(self, db, batch_id, events):
        gate = self.cf.get("gate", "")
        if gate:
            open(self.subconsumer_name + ".has_batch", "w").close()
            while not os.path.exists(gate):
                time.sleep(0.01)
        cursor = db.cursor()
        for event in events:
            cursor.execute("insert into processed values (%s, %s)", [event.ev_id, self.subconsumer_name])
            if event.ev_type == "retry" and event.ev_retry is None:
                event.tag_retry(0)
                cursor.execute("delete from processed where ev_id = %s", [event.ev_id])
Worker("worker", "db", sys.argv[1:]).start()
"#;

struct Workers {
    database: Database,
    folder: TempDir,
}

impl Workers {
    fn create() -> (Workers, Client) {
        let (database, mut client) = database(&[]);
        client.batch_execute("create table processed (ev_id bigint, worker text)").expect("created");
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("worker.py"), WORKER).expect("writable");
        (Workers { database, folder }, client)
    }

    /// Makes the command of one worker, with `more` lines in its file.
    fn command(&self, name: &str, more: &str, switches: &[&str]) -> Command {
        let ini = format!(
            "[worker]\njob_name = {name}\ndb = dbname={}\nqueue_name = {QUEUE}\nconsumer_name = {CONSUMER}\n\
             subconsumer_name = {name}\n{more}",
            self.database.name()
        );
        let file = format!("{name}.ini");
        fs::write(self.folder.path().join(&file), ini).expect("writable");
        let mut command = Command::new("/usr/bin/python3");
        command
            .args(["-W", "ignore", "worker.py", &file])
            .args(switches)
            .current_dir(self.folder.path())
            .env("PGHOST", shared().socket_dir())
            .env("PGPORT", shared().port().to_string())
            .env("PGUSER", "postgres");
        command
    }

    fn register(&self, name: &str) {
        succeed(&mut self.command(name, "", &["--register"]));
    }

    /// Starts a worker that keeps its first batch until the file `gate` is there.
    fn start(&self, name: &str) -> Running {
        Running::start(&mut self.command(name, "gate = gate\nloop_delay = 0.02\n", &[]))
    }

    fn wait_until_busy(&self, name: &str) {
        wait_for("a worker's batch", || self.folder.path().join(format!("{name}.has_batch")).exists());
    }

    fn open_gate(&self) {
        fs::write(self.folder.path().join("gate"), "").expect("writable");
    }
}

/// Returns the events that a worker processed, or all; in order.
fn processed(client: &mut Client, worker: &str) -> Vec<i64> {
    let select = "select ev_id from processed where worker like $1 order by ev_id";
    client.query(select, &[&worker]).expect("readable").iter().map(|row| row.get(0)).collect()
}

fn numbers(from: i64, to: i64) -> Vec<i64> {
    (from..=to).collect()
}

#[test]
fn four_workers_share_the_work_and_each_event_is_done_once() {
    let (workers, mut client) = Workers::create();
    let names = ["a", "b", "c", "d"];
    for name in names {
        workers.register(name);
    }
    let mut running = names.map(|name| workers.start(name));
    for (name, first) in names.into_iter().zip([1, 11, 21, 31]) {
        fill(&mut client, first, 10);
        assert!(name.len() == 1);
    }
    for name in names {
        workers.wait_until_busy(name);
    }
    workers.open_gate();
    for round in 4..40 {
        fill(&mut client, round * 10 + 1, 10);
    }
    wait_for("all events", || processed(&mut client, "%").len() >= 400);
    for worker in &running {
        worker.signal(Signal::SIGINT);
    }
    for worker in &mut running {
        worker.wait();
    }
    assert_eq!(processed(&mut client, "%"), numbers(1, 400));
    for name in names {
        assert!(processed(&mut client, name).len() >= 10, "{name} had a batch");
        assert_eq!(row(&mut client, &format!("consumer.{name}")), (None, None, None));
        succeed(&mut workers.command(name, "", &["--unregister"]));
    }
}

#[test]
fn a_killed_workers_batch_is_taken_over_and_nothing_is_lost() {
    let (workers, mut client) = Workers::create();
    workers.register("dead");
    workers.register("heir");
    let mut dead = workers.start("dead");
    fill(&mut client, 1, 10);
    workers.wait_until_busy("dead");
    fill(&mut client, 11, 10);
    succeed(&mut workers.command("heir", "loop_delay = 0\n", &[]));
    assert_eq!(processed(&mut client, "%"), numbers(11, 20), "the batch is not taken over yet");

    dead.kill();
    fill(&mut client, 21, 10);
    succeed(&mut workers.command("heir", "loop_delay = 0\nsubconsumer_timeout = 1 hour\n", &[]));
    assert_eq!(processed(&mut client, "%"), numbers(11, 30), "it was alive an hour ago");
    succeed(&mut workers.command("heir", "loop_delay = 0\nsubconsumer_timeout = 0 seconds\n", &[]));
    assert_eq!(processed(&mut client, "heir"), numbers(1, 30));
    assert_eq!(processed(&mut client, "%"), numbers(1, 30));

    fill(&mut client, 31, 10);
    succeed(&mut workers.command("dead", "loop_delay = 0\n", &[]));
    assert_eq!(processed(&mut client, "dead"), numbers(31, 40), "it continues at the position of the others");
}

#[test]
fn an_event_that_one_worker_retries_is_redelivered_to_another() {
    let (workers, mut client) = Workers::create();
    workers.register("a");
    workers.register("b");
    client.query_one("select pgq.insert_event('queue', 'retry', 'x')", &[]).expect("inserted");
    fill(&mut client, 2, 1);
    succeed(&mut workers.command("a", "loop_delay = 0\n", &[]));
    assert_eq!(processed(&mut client, "%"), [2]);
    assert_eq!(pgq::ticker::retry_events(&mut client).expect("returned"), 1);
    queues::tick(&mut client, QUEUE);
    succeed(&mut workers.command("b", "loop_delay = 0\n", &[]));
    assert_eq!(processed(&mut client, "b"), [1]);
}

#[test]
fn a_consumer_of_this_project_shares_the_work_with_python_pgq() {
    let (workers, mut client) = Workers::create();
    workers.register("python");
    let mut python = workers.start("python");
    fill(&mut client, 1, 10);
    workers.wait_until_busy("python");

    struct Record;
    impl pgq::Consumer for Record {
        fn process_event(
            &mut self,
            event: &pgq::Event,
            batch: &mut pgq::Batch<'_>,
        ) -> Result<pgq::Outcome, pgq::BoxError> {
            batch.db()?.execute("insert into processed values ($1, 'rust')", &[&event.id()])?;
            Ok(pgq::Outcome::Done)
        }
    }
    let mut settings = pgq::Settings::new(QUEUE, CONSUMER);
    settings.subconsumer = Some("rust".to_owned());
    settings.merge_events = 0;
    let rust = pgq::Worker::with_settings(&workers.database.conninfo(), settings);
    let rust = rust.loop_delay(std::time::Duration::from_millis(10)).spawn(Record).expect("up");
    fill(&mut client, 11, 10);
    wait_for("a batch beside the other one", || processed(&mut client, "rust") == numbers(11, 20));
    workers.open_gate();
    for round in 2..20 {
        fill(&mut client, round * 10 + 1, 10);
    }
    wait_for("all events", || processed(&mut client, "%").len() >= 200);
    rust.stop();
    rust.join().expect("stopped");
    python.signal(Signal::SIGINT);
    python.wait();
    assert_eq!(processed(&mut client, "%"), numbers(1, 200));
    assert!(processed(&mut client, "python").len() >= 10);
}
