//! Switches with which an operator resumes a program that tracks batches.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use super::*;
use crate::support::programs::{command_on, errors, succeed};
use crate::support::{Database, templates};

const QUEUE: &str = "queue";
const CONSUMER: &str = "consumer";

struct Program {
    source: Database,
    folder: TempDir,
}

impl Program {
    fn command(&self, switches: &[&str]) -> Command {
        let mut command = command_on(self.source.server(), "remote_table", self.folder.path());
        command.arg("x.ini").args(switches);
        command
    }

    fn said(&self, switches: &[&str]) -> String {
        errors(&succeed(&mut self.command(switches)))
    }
}

#[test]
fn reset_forgets_the_targets_batches() {
    let (source, mut client) = queues::database("history", QUEUE);
    let (target, mut dst) = templates::recording("history_dst");
    dst.batch_execute("create table public.applied (data text)").expect("created");
    let ini = format!(
        "[remote_table]\njob_name = {CONSUMER}\nsrc_db = {}\ndst_db = {}\nqueue_name = {QUEUE}\nloop_delay = 0\n",
        source.conninfo(),
        target.conninfo()
    );
    let program = Program { source, folder: tempfile::tempdir().expect("a temporary folder") };
    fs::write(program.folder.path().join("x.ini"), ini).expect("writable");
    let mut applied =
        || dst.query_one("select count(*) from applied", &[]).expect("readable").get::<_, i64>(0);

    assert!(program.said(&["--reset"]).contains("the target has no batches"));
    program.said(&["--register"]);
    let first = batch(&mut client, QUEUE, 0, 10);
    program.said(&[]);
    let number = next_batch(&mut client);
    let second = batch(&mut client, QUEUE, 10, 10);
    program.said(&[]);
    restore(&mut client, first, number);
    batch(&mut client, QUEUE, 20, 10);
    let output = program.command(&[]).output().expect("starts");
    let said = errors(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let numbers = format!("is ticks {first}..{}, the target has batches up to tick {second}", first + 1);
    assert!(said.contains(&numbers) && said.contains("--reset"), "{said}");
    assert_eq!(applied(), 20);
    assert!(program.said(&["--reset"]).contains("forgot the target's batches, 1 recorded"));
    program.said(&[]);
    assert_eq!(applied(), 20 + 20, "the events of the source after its tick");
}
