//! Programs behind a pooler that gives every transaction another session.

use std::fs;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use postgres::{Client, NoTls};

use crate::support::certificates::{self, Authority};
use crate::support::pgbouncer::PgBouncer;
use crate::support::programs::{Pair, Running, SOURCE_QUEUE, TARGET_QUEUE, command, errors, succeed};
use crate::support::{Database, queues, shared, unique, wait_for};

/// The sessions that all clients of a database share.
const SESSIONS: usize = 2;

fn client(bouncer: &PgBouncer, database: &str) -> Client {
    Client::connect(&bouncer.conninfo(database), NoTls)
        .unwrap_or_else(|error| panic!("{error:?}\n{}", bouncer.log()))
}

/// Fails unless the pooler's sessions are as fresh ones are: nothing prepared, locked, listened to or set.
#[track_caller]
fn assert_clean(bouncer: &PgBouncer, database: &str) {
    // The pooler sets the first two by itself, and the script of the extension `pgq` the third one.
    let left = "select 'prepared ' || name from pg_prepared_statements \
                union all select 'cursor ' || name from pg_cursors where name <> '' \
                union all select 'listening ' || channel from pg_listening_channels() channel \
                union all select 'locked ' || objid from pg_locks \
                where locktype = 'advisory' and pid = pg_backend_pid() \
                union all select 'set ' || name from pg_settings \
                where source = 'session' and name not in \
                ('application_name', 'client_encoding', 'client_min_messages')";
    // One transaction for each session, all at the same time, so that each session is checked.
    let mut clients: Vec<Client> = (0..SESSIONS).map(|_| client(bouncer, database)).collect();
    let mut pids = Vec::new();
    let transactions: Vec<_> = clients.iter_mut().map(|client| client.transaction()).collect();
    let mut transactions: Vec<_> =
        transactions.into_iter().map(|one| one.expect("a session is free")).collect();
    for transaction in &mut transactions {
        let pid = transaction.query_typed("select pg_backend_pid()", &[]).expect("readable");
        let left = transaction.query_typed(left, &[]).expect("readable");
        let left: Vec<String> = left.iter().map(|row| row.get(0)).collect();
        assert!(left.is_empty(), "{left:?}\n{}", bouncer.log());
        pids.push(pid[0].get::<_, i32>(0));
    }
    pids.dedup();
    assert_eq!(pids.len(), SESSIONS);
}

/// A producer, a ticker, two consumers and a mover, all of them through one pooler.
struct Chain {
    pair: Pair,
    bouncer: PgBouncer,
}

impl Chain {
    fn create() -> Chain {
        let chain = Chain { pair: Pair::create(), bouncer: PgBouncer::start(shared(), SESSIONS) };
        let table = "create table greeting (name text); create table produced (id serial)";
        chain.pair.source_client().batch_execute(table).expect("the tables are new");
        for register in [chain.mover(), chain.greeter()] {
            let mut register = register;
            succeed(register.arg("--register"));
        }
        chain
    }

    fn source(&self) -> String {
        self.bouncer.conninfo(&self.pair.source)
    }

    fn start(&self) -> Vec<Running> {
        let programs = [self.ticker(), self.mover(), self.greeter(), self.producer("a"), self.producer("b")];
        programs.into_iter().map(|mut command| Running::start(&mut command)).collect()
    }

    fn ticker(&self) -> Command {
        let mut ticker = self.program("pgqadm", &format!("db = {}\nloop_delay = 0.02\n", self.source()));
        ticker.arg("ticker");
        ticker
    }

    fn mover(&self) -> Command {
        let target = self.bouncer.conninfo(&self.pair.target);
        let databases = format!("src_db = {}\ndst_db = {target}\n", self.source());
        let queues = format!("pgq_queue_name = {SOURCE_QUEUE}\ndst_queue_name = {TARGET_QUEUE}\n");
        self.program("queue_mover", &format!("{databases}{queues}loop_delay = 0.02\n"))
    }

    fn greeter(&self) -> Command {
        let queue = format!("pgq_queue_name = {SOURCE_QUEUE}");
        self.program("greeter", &format!("db = {}\n{queue}\nloop_delay = 0.02\n", self.source()))
    }

    fn producer(&self, name: &str) -> Command {
        let sql = format!(
            "with new as (insert into produced default values returning id) \
             select pgq.insert_event('{SOURCE_QUEUE}', 'type', '{name}' || id) from new"
        );
        let ini = format!("db = {}\nsql = {}\nloop_delay = 0.01\n", self.source(), sql.replace('%', "%%"));
        self.program("run_sql", &ini)
    }

    /// Makes the command of a program in a folder of its own.
    fn program(&self, name: &str, ini: &str) -> Command {
        let folder = self.pair.folder.path().join(format!("{name}_{}", unique()));
        fs::create_dir(&folder).expect("the folder is new");
        let text = format!("[{name}]\njob_name = {name}\n{ini}exception_sleep = 0.1\nlogfile = log\n");
        fs::write(folder.join("program.ini"), text).expect("the folder is writable");
        let mut command = command(name, &folder);
        command.arg("program.ini");
        command
    }
}

fn greetings(client: &mut Client) -> usize {
    client.query("select name from greeting", &[]).expect("readable").len()
}

#[test]
fn every_program_works_through_few_sessions_and_survives_the_poolers_restart() {
    let chain = Chain::create();
    let mut programs = chain.start();
    let mut source = chain.pair.source_client();
    let mut target = chain.pair.target_client();
    wait_for("events to arrive", || queues::count(&mut target, TARGET_QUEUE) > 20);
    chain.bouncer.stop();
    let before = queues::count(&mut target, TARGET_QUEUE);
    chain.bouncer.start_again();
    wait_for("more events to arrive", || queues::count(&mut target, TARGET_QUEUE) > before + 20);
    for producer in programs.drain(3..) {
        stop(producer);
    }
    let produced = queues::count(&mut source, SOURCE_QUEUE);
    wait_for("all events", || queues::count(&mut target, TARGET_QUEUE) >= produced);
    wait_for("all greetings", || greetings(&mut source) >= produced);
    programs.into_iter().for_each(stop);
    chain.pair.assert_moved();
    let greeted = "select count(*), count(distinct name) from greeting";
    let row = source.query_one(greeted, &[]).expect("readable");
    assert_eq!((row.get(0), row.get(1)), (produced as i64, produced as i64));
    for database in [&chain.pair.source, &chain.pair.target] {
        assert_clean(&chain.bouncer, database);
    }
}

fn stop(mut program: Running) {
    program.signal(Signal::SIGINT);
    assert_eq!(program.wait(), Some(0));
}

#[test]
fn the_schemas_install_through_it() {
    let database = Database::create("bouncer");
    let bouncer = PgBouncer::start(shared(), SESSIONS);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ini = format!("[pgqadm]\ndb = {}\n", bouncer.conninfo(database.name()));
    fs::write(folder.path().join("adm.ini"), ini).expect("the folder is writable");
    for arguments in [
        &["install"][..],
        &["create", "q"],
        &["register", "q", "c"],
        &["register", "q", "d", "--copy", "c"],
        &["config"],
        &["config", "q", "ticker_max_lag=1", "per_tx_limit=5"],
        &["failed", "list", "q", "c"],
        &["failed", "retry", "q", "c", "--all"],
        &["failed", "purge", "q", "c", "--force"],
        &["unregister", "q", "c"],
        &["drop", "q", "--force"],
    ] {
        succeed(command("pgqadm", folder.path()).arg("adm.ini").args(arguments));
    }
    assert_clean(&bouncer, database.name());
}

#[test]
fn the_way_to_it_may_be_encrypted() {
    let authority = Authority::create("authority");
    let bouncer = PgBouncer::start_encrypted(shared(), SESSIONS, &authority.issue(&["127.0.0.1"], "pooler"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = certificates::write(folder.path(), "root.crt", &authority.pem.certificate);
    let run = |more: &str| {
        let conninfo = format!("{} sslrootcert={} {more}", bouncer.conninfo("postgres"), root.display());
        let ini = format!("[run_sql]\ndb = {conninfo}\nsql = select 1\nloop_delay = -1\n");
        fs::write(folder.path().join("run.ini"), ini).expect("the folder is writable");
        command("run_sql", folder.path()).arg("run.ini").output().expect("the program starts")
    };
    for mode in ["allow", "prefer", "verify-full"] {
        let output = run(&format!("sslmode={mode}"));
        assert!(output.status.success(), "{mode}: {}", errors(&output));
    }
    let output = run("sslmode=disable");
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains("SSL required"), "{}", errors(&output));
}

#[test]
fn a_kill_cancels_the_statement_behind_it() {
    let database = Database::create("bouncer");
    let bouncer = PgBouncer::start(shared(), SESSIONS);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ini = format!("[run_sql]\ndb = {}\nsql = select pg_sleep(1000)\n", bouncer.conninfo(database.name()));
    fs::write(folder.path().join("run.ini"), ini).expect("the folder is writable");
    let mut program = Running::start(command("run_sql", folder.path()).arg("run.ini"));
    let mut client = database.client();
    let mut sleeping = || {
        let running = "select count(*) from pg_stat_activity where query like 'select pg_sleep%' \
                       and state = 'active' and datname = current_database()";
        let count: i64 = client.query_one(running, &[]).expect("readable").get(0);
        count == 1
    };
    wait_for("the statement to run", &mut sleeping);
    program.signal(Signal::SIGTERM);
    assert!(program.wait().is_some());
    wait_for("the statement to end", || !sleeping());
}

/// Counts its rounds, each of which is over in a moment.
const QUICK: &str = "sql = select pg_sleep(0.005), nextval('rounds')\nloop_delay = 0.001\n";

#[test]
fn it_survives_kills_between_statements() {
    let database = Database::create("bouncer");
    let mut client = database.client();
    client.batch_execute("create sequence rounds").expect("created");
    let bouncer = PgBouncer::start(shared(), SESSIONS);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ini = format!("[run_sql]\ndb = {}\n{QUICK}", bouncer.conninfo(database.name()));
    fs::write(folder.path().join("run.ini"), ini).expect("the folder is writable");
    let mut rounds =
        || client.query_one("select last_value from rounds", &[]).expect("readable").get::<_, i64>(0);
    for _ in 0..30 {
        let before = rounds();
        let mut program = Running::start(command("run_sql", folder.path()).arg("run.ini"));
        wait_for("some rounds", || rounds() > before + 5);
        program.signal(Signal::SIGTERM);
        assert_eq!(program.wait(), Some(0));
        assert!(!bouncer.log().contains("FATAL"), "{}", bouncer.log());
    }
}

/// Inserts each event by a prepared statement, and ends each batch in another way.
struct Prepared(usize);

impl pgq::Consumer for Prepared {
    fn process_batch(&mut self, batch: &mut pgq::Batch<'_>) -> Result<(), pgq::BoxError> {
        self.0 += 1;
        while let Some(event) = batch.next_event()? {
            let insert = batch.prepare("insert into greeting (name) values ($1)")?;
            batch.db()?.execute(&insert, &[&event.data()])?;
        }
        match self.0 {
            1 => return Err("rolled back".into()),
            2 => batch.redeliver(),
            _ => {}
        }
        Ok(())
    }
}

#[test]
fn prepared_statements_of_batches_do_not_stay_in_the_poolers_sessions() {
    let (database, mut direct) = queues::database("prepared", SOURCE_QUEUE);
    direct.batch_execute("create table greeting (name text)").expect("the table is new");
    let bouncer = PgBouncer::start(shared(), SESSIONS);
    let worker = pgq::Worker::new(&bouncer.conninfo(database.name()), SOURCE_QUEUE, "prepared");
    let worker = worker.loop_delay(Duration::from_millis(10)).exception_sleep(Duration::from_millis(10));
    let worker = worker.spawn(Prepared(0)).expect("up");
    for from in [0, 10, 20] {
        queues::insert(&mut direct, SOURCE_QUEUE, from, 10);
        let tick = queues::tick(&mut direct, SOURCE_QUEUE);
        wait_for("the batch", || queues::position(&mut direct, SOURCE_QUEUE, "prepared") == (tick, None));
    }
    worker.stop();
    worker.join().expect("stopped");
    let count: i64 = direct.query_one("select count(*) from greeting", &[]).expect("readable").get(0);
    assert_eq!(count, 30);
    assert_clean(&bouncer, database.name());
}
