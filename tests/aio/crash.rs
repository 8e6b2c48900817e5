//! Processes, sessions and servers that are killed at random, amid concurrent batches.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use pgq::schema::Kind;
use postgres::{Client, Transaction};

use super::{KINDS, QUEUE, is_done};
use crate::support::programs::{Running, command_on};
use crate::support::random_kills::{Ending, Random, produce, repeat, rounds, seed, terminate};
use crate::support::server::Server;
use crate::support::{builder_with_extension, queues, wait_for};

const CONSUMERS: [&str; 2] = ["billing", "shipping"];
/// A tick does not cover events of its own transaction.
const MAINTAIN: &str = "begin; select pgq.maint_retry_events(); commit; select pgq.ticker()";

/// Starts a server with a queue, both consumers, and the table of effects.
fn start(kind: Kind) -> (Server, String) {
    let server = match kind {
        Kind::Own => Server::start(),
        Kind::Extension => builder_with_extension().start(),
    };
    let server = server.unwrap_or_else(|error| panic!("{error}"));
    let mut client = server.client("postgres");
    queues::install_as(&mut client, kind);
    queues::create(&mut client, QUEUE);
    for consumer in CONSUMERS {
        pgq::admin::register_consumer(&mut client, QUEUE, consumer).expect("registered");
    }
    client.batch_execute("create table effect (number bigserial, event bigint)").expect("created");
    let conninfo = server.conninfo("postgres");
    (server, conninfo)
}

/// Inserts an event with one of ten keys, or without one; a thousand events a second are enough.
fn insert(transaction: &mut Transaction<'_>, random: &mut Random) -> Result<(), postgres::Error> {
    let key = Some(random.below(11)).filter(|key| *key > 0).map(|key| format!("key{key}"));
    thread::park_timeout(Duration::from_millis(1));
    let insert = "select pgq.insert_event($1, 'type', 'data', $2, null, null, null)";
    transaction.execute(insert, &[&QUEUE, &key]).map(drop)
}

/// Kills the program, its sessions and its server at random, and starts the program again.
fn kill_at_random(server: &Server, program: &mut Command, random: &mut Random) -> Running {
    let mut running = Running::start(program);
    for _ in 0..rounds() / 2 {
        thread::park_timeout(Duration::from_millis(random.below(400)));
        match random.below(16) {
            0 => server.restart_immediate(),
            choice @ 1..=6 => terminate(&mut server.client("postgres"), CONSUMERS[choice as usize % 2]),
            _ => running.kill(),
        }
        if !running.is_running() {
            running = Running::start(program);
        }
    }
    running
}

/// Returns the ids of all events, and of each key's events, in their order.
fn inserted(client: &mut Client) -> (Vec<i64>, HashMap<String, Vec<i64>>) {
    let mut keys: HashMap<String, Vec<i64>> = HashMap::new();
    let select = "select distinct ev_id, coalesce(ev_extra1, '-') from pgq.event_template order by ev_id";
    let rows = client.query(select, &[]).expect("readable");
    for row in &rows {
        keys.entry(row.get(1)).or_default().push(row.get(0));
    }
    (rows.iter().map(|row| row.get(0)).collect(), keys)
}

/// Returns the ids of each key's events as the concurrent consumer has handled them.
fn handled(folder: &Path) -> HashMap<String, Vec<i64>> {
    let mut keys: HashMap<String, Vec<i64>> = HashMap::new();
    for line in fs::read_to_string(folder.join("effects")).expect("written").lines() {
        let (key, id) = line.split_once(' ').expect("two words");
        keys.entry(key.to_owned()).or_default().push(id.parse().expect("a number"));
    }
    keys
}

/// Fails unless each event was handled, and behind the one before it: an event may be handled again together with those
/// behind it, but none is skipped.
fn check_key(key: &str, inserted: &[i64], handled: &[i64]) {
    let places: HashMap<i64, usize> = inserted.iter().enumerate().map(|(at, id)| (*id, at)).collect();
    let mut next = 0;
    for id in handled {
        let at = places[id];
        assert!(key == "-" || at <= next, "{key}: event {id} was handled before event {}", inserted[next]);
        next = at + 1;
    }
    let seen: BTreeSet<i64> = handled.iter().copied().collect();
    assert!(seen.iter().eq(inserted), "{key}: {} events, {} handled", inserted.len(), seen.len());
}

/// Waits until both consumers have handled all events, including those that return from a retry.
fn finish(client: &mut Client) {
    wait_for("the end of all events", || {
        let retries = client.query_one("select count(*) from pgq.retry_queue", &[]).expect("readable");
        if retries.get::<_, i64>(0) > 0 {
            client.batch_execute(MAINTAIN).expect("maintained");
        }
        is_done(client)
    });
}

/// `CRASH_ROUNDS` sets the number of rounds, `CRASH_SEED` repeats a run's choices.
#[test]
fn random_kills_of_asynchronous_consumers_lose_no_event_and_no_order() {
    for kind in KINDS {
        let (server, conninfo) = start(kind);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut program = command_on(&server, "async_effects", folder.path());
        program.arg(&conninfo);
        let (seed, end) = (seed(), AtomicBool::new(false));
        let mut running = thread::scope(|scope| {
            let _ending = Ending(&end);
            scope.spawn(|| produce(&conninfo, &end, seed, insert));
            scope.spawn(|| repeat(&conninfo, &end, MAINTAIN));
            kill_at_random(&server, &mut program, &mut Random::new(seed))
        });
        if !running.is_running() {
            running = Running::start(&mut program);
        }
        let mut client = server.client("postgres");
        queues::tick(&mut client, QUEUE);
        finish(&mut client);
        let (all, keys) = inserted(&mut client);
        let handled = handled(folder.path());
        assert_eq!(keys.len(), 11, "{kind:?}, seed {seed}");
        for (key, ids) in &keys {
            check_key(key, ids, &handled[key]);
        }
        let rows = client.query("select event from effect order by number", &[]).expect("readable");
        let written: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        assert!(written == all, "{kind:?}, seed {seed}: {} events, {} effects", all.len(), written.len());
        running.kill();
    }
}
