//! python-pgq's producer functions and consumers, as commands.

use super::*;
use crate::support::programs::succeed;

/// A queue in one database, and the events that its consumers have processed in another.
pub(super) struct Setup {
    pub(super) source: (Database, Client),
    pub(super) target: (Database, Client),
    pub(super) folder: tempfile::TempDir,
    produced: i64,
}

impl Setup {
    pub(super) fn create(kind: Kind) -> Setup {
        let (source, mut target) = (database(kind), database(kind));
        target.1.batch_execute(PROCESSED).expect("created");
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in [("consumers.py", CONSUMERS), ("producer.py", PRODUCER)] {
            fs::write(folder.path().join(name), text).expect("writable");
        }
        Setup { source, target, folder, produced: 0 }
    }

    /// Inserts events that hold the numbers that follow.
    pub(super) fn produce(&mut self, count: i64) {
        let first = self.produced + 1;
        self.produced += count;
        let range = [first, first + count].map(|number| number.to_string());
        let mut command = python(self.folder.path(), "producer.py");
        command.arg(self.source.0.conninfo()).arg(QUEUE).args(range);
        succeed(&mut command);
    }

    /// Inserts events that hold the numbers that follow, without python-pgq, which takes the time of a program's start.
    pub(super) fn insert(&mut self, count: i64) {
        let first = self.produced + 1;
        self.produced += count;
        let insert = "select count(pgq.insert_event($1, 'single', n::text)) from generate_series($2::int8, $3::int8) n";
        self.source.1.execute(insert, &[&QUEUE, &first, &self.produced]).expect("inserted");
    }

    /// Makes the command of a consumer of one of the classes in `consumers.py`. Those that are `Plain` and `Coop`
    /// work in the database of the queue.
    pub(super) fn consumer(&self, class: &str, job: &str, more: &str, switches: &[&str]) -> Command {
        let ini = format!(
            "[consumer]\njob_name = {job}\nqueue_name = {QUEUE}\nconsumer_name = consumer\nsubconsumer_name = {job}\n\
             db = dbname={source}\nsrc_db = dbname={source}\ndst_db = dbname={target}\n{more}",
            source = self.source.0.name(),
            target = self.target.0.name(),
        );
        let file = format!("{job}.ini");
        fs::write(self.folder.path().join(&file), ini).expect("writable");
        let mut command = python(self.folder.path(), "consumers.py");
        command.arg(class).arg(file).args(switches);
        command
            .env("PGHOST", self.source.0.server().socket_dir())
            .env("PGPORT", self.source.0.server().port().to_string())
            .env("PGUSER", "postgres");
        command
    }

    /// Returns the numbers of the events that were produced.
    pub(super) fn numbers(&self) -> Vec<i64> {
        (1..=self.produced).collect()
    }
}

pub(super) const PROCESSED: &str = "create table processed (event bigint, retry integer, worker text)";
const CONSUMERS: &str = include_str!("consumers.py");
const PRODUCER: &str = include_str!("producer.py");

fn python(folder: &Path, script: &str) -> Command {
    let mut command = bound("/usr/bin/python3");
    command.args(["-W", "ignore", script]).current_dir(folder);
    command
}

/// Returns the events that were processed, in order, and how many of them had been scheduled for a retry.
pub(super) fn processed(client: &mut Client) -> (Vec<i64>, usize) {
    let rows = client.query("select event, retry from processed order by event", &[]).expect("readable");
    let retried = rows.iter().filter(|row| row.get::<_, Option<i32>>(1) == Some(1)).count();
    (rows.iter().map(|row| row.get(0)).collect(), retried)
}
