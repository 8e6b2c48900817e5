//! Exactly-once delivery when processes or servers crash at any time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use std::{env, thread};

use nix::sys::signal::Signal;
use postgres::{Client, NoTls};

use crate::control::wait_blocked;
use crate::support::amount::pick;
use crate::support::programs::{JOB, Pair, Running, SOURCE_QUEUE, TARGET_QUEUE};
use crate::support::{queues, wait_for};

/// The points of a batch at which a test can hold the mover: each is a lock that it runs into.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Before the first row is sent to the target.
    Copy,
    /// After the rows, before the target has the tick.
    Record,
    /// Within the target's commit.
    TargetCommit,
    /// After the target's commit, before the source's finish.
    Finish,
    /// Within the source's commit.
    SourceCommit,
}

const STEPS: [Step; 5] = [Step::Copy, Step::Record, Step::TargetCommit, Step::Finish, Step::SourceCommit];

/// The failure at that point.
#[derive(Clone, Copy, Debug)]
enum Kill {
    Mover,
    SourceSession,
    TargetSession,
}

const KILLS: [Kill; 3] = [Kill::Mover, Kill::SourceSession, Kill::TargetSession];

const GATE: i64 = 4711;

/// Makes a commit wait for an advisory lock, as long as somebody holds it.
fn gate(client: &mut Client, table: &str, when: &str) {
    client
        .batch_execute(&format!(
            "create function public.gate() returns trigger language plpgsql as \
             $$ begin perform pg_advisory_xact_lock_shared({GATE}); return null; end $$; \
             create constraint trigger gate after insert or update on {table} \
             deferrable initially deferred for each row {when} execute function public.gate()"
        ))
        .expect("the trigger is created");
}

/// Holds the mover at a step, causes the failure, and releases it.
fn strike(pair: &Pair, step: Step, kill: Kill, mover: &mut Running) {
    let (mut source, mut target) = (pair.source_client(), pair.target_client());
    let (mut source_holder, mut target_holder) = (pair.source_client(), pair.target_client());
    let mut at_source = source_holder.transaction().expect("begin");
    let mut at_target = target_holder.transaction().expect("begin");
    match step {
        Step::Copy => at_target.batch_execute("lock table pgq.event_1_0 in exclusive mode"),
        Step::Record => at_target.batch_execute("lock table pgq_ext.completed_tick in exclusive mode"),
        Step::TargetCommit | Step::Finish => {
            at_target.batch_execute(&format!("select pg_advisory_xact_lock({GATE})"))
        }
        Step::SourceCommit => at_source.batch_execute(&format!("select pg_advisory_xact_lock({GATE})")),
    }
    .expect("locked");
    queues::insert(&mut source, SOURCE_QUEUE, 0, 200);
    queues::tick(&mut source, SOURCE_QUEUE);
    match step {
        Step::SourceCommit => wait_blocked(&mut source),
        _ => wait_blocked(&mut target),
    }
    if let Step::Finish = step {
        at_source.batch_execute("lock table pgq.subscription in exclusive mode").expect("locked");
        at_target.rollback().expect("released");
        wait_blocked(&mut source);
        hit(&mut source, &mut target, kill, mover);
    } else {
        hit(&mut source, &mut target, kill, mover);
        at_target.rollback().expect("released");
    }
    at_source.rollback().expect("released");
}

fn hit(source: &mut Client, target: &mut Client, kill: Kill, mover: &mut Running) {
    let client = match kill {
        Kill::Mover => {
            mover.signal(Signal::SIGKILL);
            mover.wait();
            return;
        }
        Kill::SourceSession => source,
        Kill::TargetSession => target,
    };
    let killed = client
        .query(
            "select pg_terminate_backend(pid) from pg_stat_activity \
             where datname = current_database() and application_name = $1",
            &[&JOB],
        )
        .expect("the superuser may");
    assert!(!killed.is_empty());
}

#[test]
fn a_kill_at_any_step_loses_and_doubles_nothing() {
    for step in STEPS {
        for kill in KILLS {
            let pair = Pair::on_two_servers();
            gate(&mut pair.target_client(), "pgq_ext.completed_tick", "");
            let finished = "when (new.sub_batch is null)";
            gate(&mut pair.source_client(), "pgq.subscription", finished);
            pair.register();
            let mut mover = Running::start(&mut pair.mover(&[]));
            strike(&pair, step, kill, &mut mover);
            if let Kill::Mover = kill {
                mover = Running::start(&mut pair.mover(&[]));
            }
            let (mut source, mut target) = (pair.source_client(), pair.target_client());
            queues::insert(&mut source, SOURCE_QUEUE, 1000, 50);
            let last = queues::tick(&mut source, SOURCE_QUEUE);
            wait_for("the mover to recover", || {
                queues::position(&mut source, SOURCE_QUEUE, JOB) == (last, None)
            });
            assert!(mover.is_running(), "{step:?} {kill:?}: {}", pair.log());
            assert_eq!(queues::count(&mut target, TARGET_QUEUE), 250, "{step:?} {kill:?}: {}", pair.log());
            pair.assert_moved();
        }
    }
}

#[test]
fn a_restart_of_either_server_amid_a_batch_loses_and_doubles_nothing() {
    let pair = Pair::on_two_own_servers();
    gate(&mut pair.target_client(), "pgq_ext.completed_tick", "");
    pair.register();
    let mut mover = Running::start(&mut pair.mover(&[]));
    let mut count = 0;
    for lock in [
        "lock table pgq.event_1_0 in exclusive mode".to_owned(),
        "lock table pgq_ext.completed_tick in exclusive mode".to_owned(),
        format!("select pg_advisory_xact_lock({GATE})"),
    ] {
        for restarted in [pair.server(), pair.target_server()] {
            let mut holder = pair.target_client();
            holder.batch_execute(&format!("begin; {lock}")).expect("locked");
            let mut source = pair.source_client();
            queues::insert(&mut source, SOURCE_QUEUE, count, 100);
            count += 100;
            queues::tick(&mut source, SOURCE_QUEUE);
            wait_blocked(&mut pair.target_client());
            restarted.restart_immediate();
            drop(holder);
            let mut source = pair.source_client();
            let last = queues::tick(&mut source, SOURCE_QUEUE);
            wait_for("the mover to recover", || {
                queues::position(&mut source, SOURCE_QUEUE, JOB) == (last, None)
            });
        }
    }
    assert!(mover.is_running());
    assert_eq!(queues::count(&mut pair.target_client(), TARGET_QUEUE), 600);
    pair.assert_moved();
}

/// A small generator, so that a failing run can be repeated from its seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Runs `work` with a connection again and again until the test ends it; reconnects when the server is unavailable.
fn keep_doing(
    conninfo: &str,
    end: &AtomicBool,
    mut work: impl FnMut(&mut Client) -> Result<(), postgres::Error>,
) {
    while !end.load(Ordering::Relaxed) {
        let Ok(mut client) = Client::connect(conninfo, NoTls) else { continue };
        while !end.load(Ordering::Relaxed) && work(&mut client).is_ok() {}
    }
}

/// Inserts events in transactions of many sizes, some of which are rolled back.
fn produce(conninfo: &str, end: &AtomicBool, seed: u64) {
    let mut random = Random(seed);
    keep_doing(conninfo, end, |client| {
        let mut transaction = client.transaction()?;
        for _ in 0..=random.below(40) {
            let data = random.below(u64::MAX).to_string();
            transaction.execute("select pgq.insert_event($1, 'random', $2)", &[&SOURCE_QUEUE, &data])?;
        }
        if random.below(10) == 0 { transaction.rollback() } else { transaction.commit() }
    });
}

fn tick_all(conninfo: &str, end: &AtomicBool) {
    keep_doing(conninfo, end, |client| {
        client.execute("select pgq.ticker()", &[])?;
        thread::park_timeout(Duration::from_millis(5));
        Ok(())
    });
}

/// Ends the other threads however the test ends.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub(crate) fn rounds() -> u32 {
    env::var("CRASH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or_else(|| pick(10, 25))
}

pub(crate) fn seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    env::var("CRASH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(now.as_nanos() as u64 | 1)
}

fn terminate(client: &mut Client) {
    client
        .query(
            "select pg_terminate_backend(pid) from pg_stat_activity \
             where datname = current_database() and application_name = $1",
            &[&JOB],
        )
        .expect("the superuser may");
}

/// Kills the mover, its sessions and its servers at random, and starts the mover again.
fn kill_at_random(pair: &Pair, random: &mut Random) {
    let mut mover = Running::start(&mut pair.mover(&[]));
    for _ in 0..rounds() {
        thread::park_timeout(Duration::from_millis(random.below(250)));
        // A restart costs the most time, so it is rarer.
        match random.below(20) {
            0 => pair.server().restart_immediate(),
            1 => pair.target_server().restart_immediate(),
            2..=5 => terminate(&mut pair.source_client()),
            6..=9 => terminate(&mut pair.target_client()),
            _ => {
                mover.kill();
                mover = Running::start(&mut pair.mover(&[]));
            }
        }
        // A kill during its start ends the mover; its supervisor starts it again.
        if !mover.is_running() {
            mover = Running::start(&mut pair.mover(&[]));
        }
    }
}

/// `CRASH_ROUNDS` sets the number of rounds, `CRASH_SEED` repeats a run's choices.
#[test]
fn random_kills_while_events_stream_in_lose_and_double_nothing() {
    let pair = Pair::on_two_own_servers();
    pair.register();
    let seed = seed();
    let mut random = Random(seed);
    let end = AtomicBool::new(false);
    let source = pair.server().conninfo(&pair.source);
    thread::scope(|scope| {
        let _ending = Ending(&end);
        for producer in 1..=2 {
            let source = &source;
            let end = &end;
            scope.spawn(move || produce(source, end, seed.wrapping_mul(producer * 2 + 1)));
        }
        scope.spawn(|| tick_all(&source, &end));
        kill_at_random(&pair, &mut random);
    });
    let mut source = pair.source_client();
    let last = queues::tick(&mut source, SOURCE_QUEUE);
    wait_for("the rest to be moved", || {
        let output = pair.mover(&["--set", "loop_delay=0"]).output().expect("starts");
        output.status.success() && queues::position(&mut source, SOURCE_QUEUE, JOB) == (last, None)
    });
    // Batches arrive in the order of ticks, so transactions that overlap a tick swap places.
    let mut sent = queues::events(&mut source, SOURCE_QUEUE);
    let mut moved = queues::events(&mut pair.target_client(), TARGET_QUEUE);
    sent.sort();
    moved.sort();
    assert!(!sent.is_empty());
    assert!(sent == moved, "seed {seed}: {} events sent, {} moved: {}", sent.len(), moved.len(), pair.log());
}
