//! The ticker without a program: `pgq.run_ticker`.

mod cron;
mod hostile;

use fallible_iterator::FallibleIterator;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use pgq::schema::Kind;
use postgres::{Client, Config, NoTls};

use crate::support::{Database, queues, templates, wait_for};

const KINDS: [Kind; 2] = [Kind::Own, Kind::Extension];
/// Holds the lock of the active ticker for the rest of a transaction.
const LOCK: &str = "select pg_advisory_xact_lock(hashtextextended('pgq ticker', 0))::text";

/// Returns a database with a queue and a consumer.
fn database(kind: Kind) -> (Database, Client) {
    let (database, mut client) = templates::installed(kind, "procedure");
    queues::create(&mut client, "q");
    pgq::admin::register_consumer(&mut client, "q", "c").expect("registered");
    (database, client)
}

/// A session and the warnings that it has received.
struct Session {
    client: Client,
    messages: Arc<Mutex<Vec<String>>>,
}

impl Session {
    fn open(database: &Database, change: &str) -> Session {
        let messages = Arc::<Mutex<Vec<String>>>::default();
        let seen = messages.clone();
        let mut config: Config = database.conninfo().parse().expect("valid");
        config.notice_callback(move |notice| {
            seen.lock().unwrap_or_else(PoisonError::into_inner).push(notice.message().to_owned());
        });
        let mut client = config.connect(NoTls).expect("connected");
        client.batch_execute(change).expect("set");
        Session { client, messages }
    }

    fn call(&mut self, arguments: &str) -> Result<(), postgres::Error> {
        self.client.batch_execute(&format!("call pgq.run_ticker({arguments})"))
    }

    /// Calls the procedure until it has raised as many different warnings, and returns how many calls that took. Maintenance
    /// that a busy machine leaves no time for in one call is done in a later one.
    fn call_until_warned(&mut self, warnings: usize) -> usize {
        let mut calls = 0;
        wait_for("the warnings", || {
            self.call("'100 milliseconds', '20 milliseconds'").expect("it ends well");
            calls += 1;
            BTreeSet::from_iter(self.messages()).len() >= warnings
        });
        calls
    }

    fn messages(&self) -> Vec<String> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Calls the procedure again and again on a thread, until the database is dropped.
fn run(database: &Database, arguments: &str) -> JoinHandle<()> {
    let (mut session, arguments) =
        (Session::open(database, "set application_name = 'cron'"), arguments.to_owned());
    thread::spawn(move || while session.call(&arguments).is_ok() {})
}

fn number(client: &mut Client, query: &str) -> i64 {
    client.query_one(query, &[]).expect("readable").get(0)
}

const TICKS: &str = "select count(*) from pgq.tick";

/// Waits for the next batch with events, and returns their ids and retries.
fn events(client: &mut Client) -> Vec<(i64, Option<i32>)> {
    let mut found = Vec::new();
    wait_for("an event", || {
        let batch: Option<i64> =
            client.query_one("select pgq.next_batch('q', 'c')", &[]).expect("answers").get(0);
        let Some(batch) = batch else { return false };
        let rows = client.query("select ev_id, ev_retry from pgq.get_batch_events($1)", &[&batch]);
        found = rows.expect("readable").iter().map(|row| (row.get(0), row.get(1))).collect();
        if found.is_empty() {
            client.execute("select pgq.finish_batch($1)", &[&batch]).expect("finished");
        }
        !found.is_empty()
    });
    found
}

/// Requires that events are ticked, retried and rotated.
fn check_all(client: &mut Client) {
    client.batch_execute("listen \"pgq:q\"").expect("listening");
    queues::insert(client, "q", 1, 1);
    let first = events(client);
    assert_eq!(first.iter().map(|event| event.1).collect::<Vec<_>>(), [None]);
    // Only the forced tick of a retry event comes soon.
    client.batch_execute("select pgq.set_queue_config('q', 'ticker_idle_period', '1 hour')").expect("set");
    let retry = "select pgq.event_retry(sub_batch, $1::bigint, 0) from pgq.subscription";
    client.execute(retry, &[&first[0].0]).expect("tagged");
    client.batch_execute("select pgq.finish_batch(sub_batch) from pgq.subscription").expect("finished");
    assert_eq!(events(client), [(first[0].0, Some(1))]);
    client.batch_execute("select pgq.finish_batch(sub_batch) from pgq.subscription").expect("finished");
    assert!(client.notifications().iter().count().expect("readable") > 0, "consumers are notified");
    client.batch_execute("select pgq.set_queue_config('q', 'ticker_idle_period', '0')").expect("set");
    client
        .batch_execute("select pgq.insert_event_at('q', now() - interval '1 hour', 'a', 'b')")
        .expect("stored");
    assert_eq!(events(client).len(), 1);
    client.batch_execute("select pgq.finish_batch(sub_batch) from pgq.subscription").expect("finished");
    assert_eq!(number(client, "select count(*) from pgq.delayed_queue"), 0);
    if number(client, "select count(*) from pg_extension where extname = 'pgq'") == 0 {
        // The marks count, so no search visits delivered events.
        let marked = "select count(*) from pgq._last_retry_mark() where mark_snapshot is not null";
        assert_eq!(number(client, marked), 1);
    }
    client
        .batch_execute(
            "select pgq.set_queue_config('q', 'rotation_period', '0'), pgq.set_queue_config('q', 'ticker_idle_period', '0')",
        )
        .expect("set");
    let rotated =
        "select count(*) from pgq.queue where queue_cur_table > 0 and queue_switch_step2 is not null";
    wait_for("a rotation", || {
        let batch = "select pgq.finish_batch(pgq.next_batch('q', 'c'))";
        client.batch_execute(batch).expect("finished");
        number(client, rotated) == 1
    });
}

#[test]
fn it_ticks_and_puts_retry_events_back_and_rotates() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        run(&database, "'1 second', '20 milliseconds'");
        check_all(&mut client);
    }
}

#[test]
fn a_member_of_the_administrators_may_call_it_and_no_other_role() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        let role = format!("ticking_{}", database.name());
        client.batch_execute(&format!("create role {role}")).expect("created");
        let mut session = Session::open(&database, &format!("set role {role}"));
        let refused = session.call("'1 second'").expect_err("refused");
        assert_eq!(refused.code().map(|state| state.code()), Some("42501"), "{refused:?}");
        client.batch_execute(&format!("grant pgq_admin to {role}")).expect("granted");
        thread::spawn(move || while session.call("'1 second', '20 milliseconds'").is_ok() {});
        check_all(&mut client);
    }
}

#[test]
fn a_wrong_time_and_a_transaction_are_refused() {
    let (database, _client) = database(Kind::Own);
    let mut session = Session::open(&database, "");
    for arguments in [
        "'0'",
        "'-1 second'",
        "null",
        "'25 hours'",
        "'1 second', '1 microsecond'",
        "'1 minute', '11 seconds'",
    ] {
        let error = session.call(arguments).expect_err("refused");
        assert_eq!(error.code().map(|state| state.code()), Some("22023"), "{arguments}: {error:?}");
    }
    session.client.batch_execute("begin").expect("begun");
    let error = session.call("").expect_err("refused");
    assert_eq!(error.code().map(|state| state.code()), Some("2D000"), "{error:?}");
}

#[test]
fn a_queue_that_cannot_be_ticked_or_maintained_does_not_stop_the_others() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        for queue in ["a", "b"] {
            queues::create(&mut client, queue);
            pgq::admin::register_consumer(&mut client, queue, "c").expect("registered");
        }
        client.batch_execute("create table public.called (queue text)").expect("created");
        let broken = "update pgq.queue set queue_event_seq = 'pgq.gone' where queue_name = 'a'; \
             update pgq.queue set queue_extra_maint = '{pgq.maint_gone}' where queue_name = 'b'; \
             create function fine(text) returns int language sql as 'insert into public.called values ($1) returning 0'; \
             update pgq.queue set queue_extra_maint = '{public.fine}' where queue_name = 'q'";
        client.batch_execute(broken).expect("broken");
        let before = number(&mut client, TICKS);
        let mut session = Session::open(&database, "");
        session.call("'600 milliseconds', '20 milliseconds'").expect("it ends well");
        let messages = session.messages();
        for part in ["cannot tick queue `a`", "maintenance `pgq.maint_gone` of `b` failed"] {
            let count = messages.iter().filter(|message| message.contains(part)).count();
            assert_eq!(count, 1, "{part}: {messages:?}");
        }
        assert!(number(&mut client, TICKS) > before + 2, "{kind:?}");
        assert_eq!(number(&mut client, "select count(*) from public.called"), 1, "{messages:?}");
    }
}

#[test]
fn a_locked_queue_does_not_stop_the_others() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        queues::create(&mut client, "locked");
        let mut other = database.client();
        let mut holding = other.transaction().expect("begin");
        // Either schema locks the row or the number of the queue.
        holding
            .batch_execute(
                "select from pgq.queue where queue_name = 'locked' for update; \
                 select pg_advisory_xact_lock(hashtext('pgq ticker'), queue_id % 256) from pgq.queue \
                 where queue_name = 'locked'",
            )
            .expect("locked");
        run(&database, "'1 second', '20 milliseconds'");
        let ticks =
            "select count(*) from pgq.tick join pgq.queue on queue_id = tick_queue where queue_name = 'q'";
        let before = number(&mut client, ticks);
        wait_for("ticks of the other queue", || number(&mut client, ticks) > before + 3);
        holding.rollback().expect("released");
        let ticks = "select count(*) from pgq.tick join pgq.queue on queue_id = tick_queue where queue_name = 'locked'";
        wait_for("ticks of the queue", || number(&mut client, ticks) > 2);
    }
}

#[test]
fn it_stands_by_while_another_ticker_is_active() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        let mut other = database.client();
        let mut holding = other.transaction().expect("begin");
        holding.execute(LOCK, &[]).expect("locked");
        let before = number(&mut client, TICKS);
        let mut session = Session::open(&database, "");
        session.call("'300 milliseconds', '20 milliseconds'").expect("it ends well");
        assert_eq!(session.messages(), ["another ticker is active, standing by"]);
        assert_eq!(number(&mut client, TICKS), before);
        let started = thread::spawn(move || session.call("'1 hour'").is_ok());
        let standing = "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'";
        wait_for("the other one", || number(&mut client, standing) == 1);
        holding.rollback().expect("released");
        wait_for("a tick", || number(&mut client, TICKS) > before);
        let holders = "select count(*) from pg_locks where locktype = 'advisory' and objsubid = 1 and granted \
             and database = (select oid from pg_database where datname = current_database())";
        wait_for("the lock", || number(&mut client, holders) == 1);
        let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
             where datname = current_database() and query like 'call%'";
        number(&mut client, end);
        assert!(!started.join().expect("no panic"));
    }
}

#[test]
fn a_role_that_may_not_tick_does_not_stop_it() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        let role = format!("stranger_{}", database.name());
        client.batch_execute(&format!("create role {role} login")).expect("created");
        let mut stranger =
            Client::connect(&database.conninfo().replace("user=postgres", &format!("user={role}")), NoTls)
                .expect("connected");
        let mut holding = stranger.transaction().expect("begin");
        holding.execute(LOCK, &[]).expect("locked");
        let before = number(&mut client, TICKS);
        Session::open(&database, "").call("'100 milliseconds', '20 milliseconds'").expect("it ends well");
        assert!(number(&mut client, TICKS) > before);
    }
}

/// Vacuum and rotation need the ids before the procedure's snapshot.
#[test]
fn it_holds_no_snapshot_for_longer_than_a_pause() {
    let (database, mut client) = database(Kind::Own);
    let _calls = run(&database, "'1 hour', '20 milliseconds'");
    for _ in 0..3 {
        let xid = number(&mut client, "select txid_current()");
        let later = "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'cron' \
             and (backend_xmin is null or backend_xmin::text::bigint > $1)";
        wait_for("a later snapshot", || {
            client.query_one(later, &[&xid]).expect("readable").get::<_, i64>(0) == 1
        });
    }
}

/// The extension would make a tick with lower ids, and events would be lost.
#[test]
fn a_queue_that_was_moved_here_is_not_ticked() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        let moved = "update pgq.tick set tick_snapshot = '4000000000:4000000000:' where tick_id = (select max(tick_id) from pgq.tick)";
        client.batch_execute(moved).expect("updated");
        let before = number(&mut client, TICKS);
        let mut session = Session::open(&database, "");
        session.call("'100 milliseconds', '20 milliseconds'").expect("it ends well");
        assert_eq!(number(&mut client, TICKS), before);
        let messages = session.messages();
        assert!(messages.iter().any(|message| message.contains("pgqadm CONFIG.ini repair")), "{messages:?}");
    }
}

/// A role or a database may set another isolation level, and transactions that only read.
#[test]
fn settings_of_the_session_change_nothing() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        let settings =
            "set default_transaction_isolation = 'serializable'; set default_transaction_read_only = on";
        let mut session = Session::open(&database, settings);
        let _calls = thread::spawn(move || while session.call("'1 second', '20 milliseconds'").is_ok() {});
        check_all(&mut client);
    }
}
