//! The config file: the values that Skytools reads from it, and their effect on the programs.

mod compare;
mod different;
mod extended;
mod generated;
mod keys;
mod peer;
mod reload;
mod same;
mod sample;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::support::programs::command;
use crate::support::{Database, wait_for};

/// A folder and a database for `run_sql`, with a table `seen` that its statements write to.
struct Place {
    folder: TempDir,
    database: Database,
}

impl Place {
    fn create() -> Place {
        let database = Database::create("config");
        database.client().batch_execute("create table seen (at serial, what text)").expect("created");
        Place { folder: tempfile::tempdir().expect("a temporary folder"), database }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the content of `job.log`.
    fn log(&self) -> String {
        fs::read_to_string(self.path("job.log")).unwrap_or_default()
    }

    /// Writes `job.ini`: a section with the database, a log, and `lines`.
    fn write(&self, lines: &str) {
        let text = format!("[run_sql]\ndb = dbname={}\nlogfile = job.log\n{lines}\n", self.database.name());
        fs::write(self.path("job.ini"), text).expect("writable");
    }

    /// Makes the command that runs `job.ini`.
    fn command(&self) -> Command {
        let mut command = command("run_sql", self.folder.path());
        command.arg("job.ini");
        command
    }

    /// Returns the rows that the statements have written, in their order.
    fn seen(&self) -> Vec<String> {
        let rows = self.database.client().query("select what from seen order by at", &[]).expect("readable");
        rows.iter().map(|row| row.get(0)).collect()
    }

    #[track_caller]
    fn wait_seen(&self, what: &str) {
        wait_for(what, || self.seen().last().is_some_and(|last| last == what));
    }
}

/// Returns the line that makes the program write a value.
fn write(what: &str) -> String {
    format!("sql = insert into seen (what) values ('{what}')\n")
}
