//! Two tickers on one database.

use nix::sys::signal::Signal;
use postgres::Client;

use super::*;
use crate::support::pgbouncer::PgBouncer;
use crate::support::{Database, templates};

/// The holder of the ticker's lock: process, transaction id, oldest snapshot.
const HOLDER: &str = "select pid, backend_xid::text, backend_xmin::text, state from pg_locks \
     join pg_stat_activity using (pid) \
     where locktype = 'advisory' and mode = 'ExclusiveLock' and granted and objsubid = 1 and pg_locks.database = \
         (select oid from pg_database where datname = current_database())";

fn database() -> (Database, Client) {
    let (database, mut client) = templates::prepared("standby");
    create_eager(&mut client, "q");
    (database, client)
}

/// One ticks, another stands by; the active one is killed three times.
fn take_turns(conninfo: &str, client: &mut Client) {
    let jobs = [Job::new(conninfo, ""), Job::new(conninfo, "")];
    let mut tickers = [jobs[0].start(), Running::start(&mut jobs[0].command(&["--version"]))];
    jobs[0].wait_for("ticking");
    tickers[1] = jobs[1].start();
    let mut at_work = 0;
    for _ in 0..3 {
        let other = 1 - at_work;
        let standing_by = || jobs[other].log().matches("another ticker is active, standing by").count();
        let before = jobs[other].log().matches("taking over").count();
        wait_for("the other one to stand by", || standing_by() > before);
        wait_for_ticks(client, "q", 3);
        assert_eq!(jobs[other].log().matches("taking over").count(), before);
        tickers[at_work].signal(Signal::SIGKILL);
        assert_eq!(tickers[at_work].wait(), None);
        wait_for("the other one to take over", || jobs[other].log().matches("taking over").count() > before);
        wait_for_ticks(client, "q", 3);
        tickers[at_work] = jobs[at_work].start();
        at_work = other;
    }
    client.query_one(HOLDER, &[]).expect("there is exactly one lock");
}

#[test]
fn when_one_is_killed_the_other_takes_over() {
    let (database, mut client) = database();
    take_turns(&database.conninfo(), &mut client);
}

#[test]
fn the_attempts_of_a_standby_use_one_connection() {
    let (database, mut client) = database();
    let jobs = [(); 2].map(|()| Job::new(&database.conninfo(), ""));
    let _leader = jobs[0].start();
    jobs[0].wait_for("ticking");
    let _standby = jobs[1].start();
    let second_attempt = "select exists (select from pg_stat_activity where datname = current_database() \
         and query = 'rollback' and query_start > backend_start + interval '0.9 seconds')";
    wait_for("a second attempt", || client.query_one(second_attempt, &[]).expect("readable").get(0));
}

#[test]
fn behind_a_pooler_that_hands_out_transactions_too() {
    let (database, mut client) = database();
    let bouncer = PgBouncer::start(shared(), 5);
    take_turns(&bouncer.conninfo(database.name()), &mut client);
}

#[test]
fn the_lock_holds_up_neither_vacuum_nor_rotation() {
    let (database, mut client) = database();
    client
        .batch_execute(
            "alter database DB set default_transaction_isolation = 'serializable'; \
             alter database DB set idle_in_transaction_session_timeout = '50ms'; \
             create table public.dead as select 1 as one"
                .replace("DB", database.name())
                .as_str(),
        )
        .expect("set");
    let job = Job::new(&database.conninfo(), "");
    let _ticker = job.start();
    job.wait_for("ticking");
    let holder = client.query_one(HOLDER, &[]).expect("one session has the lock");
    wait_for_ticks(&mut client, "q", 10);
    let row = client.query_one(HOLDER, &[]).expect("one session has the lock");
    assert_eq!(row.get::<_, i32>(0), holder.get::<_, i32>(0), "the same all the time");
    assert_eq!(row.get::<_, &str>(3), "idle in transaction");
    assert_eq!((row.get::<_, Option<&str>>(1), row.get::<_, Option<&str>>(2)), (None, None));
    // A rotation is finished in a transaction that began after all that were there when it began.
    client.execute("select pgq.set_queue_config('q', 'rotation_period', '0')", &[]).expect("set");
    let select = "select queue_cur_table from pgq.queue";
    let before: i32 = client.query_one(select, &[]).expect("there").get(0);
    wait_for("two rotations", || {
        client.query_one(select, &[]).expect("there").get::<_, i32>(0) == (before + 2) % 3
    });
}

#[test]
fn a_ticker_takes_a_lost_lock_again() {
    let (database, mut client) = database();
    let job = Job::new(&database.conninfo(), "");
    let _ticker = job.start();
    job.wait_for("ticking");
    let holder: i32 = client.query_one(HOLDER, &[]).expect("one session has the lock").get(0);
    client.execute("select pg_terminate_backend($1)", &[&holder]).expect("terminated");
    job.wait_for("lost the ticker's lock");
    wait_for("the lock", || job.log().matches("ticking").count() > 1);
    wait_for_ticks(&mut client, "q", 3);
}

/// Settings with which a ticker checks queues once an hour.
fn rarely() -> pgq::ticker::TickerSettings {
    let mut settings = pgq::ticker::TickerSettings::default();
    settings.loop_delay = std::time::Duration::from_secs(3600);
    settings
}

#[test]
fn a_ticker_that_checks_rarely_takes_over_and_keeps_its_lock() {
    let (database, mut client) = database();
    let start = || pgq::Ticker::new(&database.conninfo()).settings(rarely()).spawn().expect("up");
    let first = start();
    wait_for("the first", || first.state().is_ticking());
    let second = start();
    wait_for("the second", || second.state().status().role == pgq::ticker::TickerRole::Standby);
    drop(first);
    wait_for("the second to take over", || second.state().is_ticking());
    let holder: i32 = client.query_one(HOLDER, &[]).expect("one session has the lock").get(0);
    client.execute("select pg_terminate_backend($1)", &[&holder]).expect("terminated");
    wait_for("another session to have it", || {
        client.query_opt(HOLDER, &[]).expect("readable").is_some_and(|row| row.get::<_, i32>(0) != holder)
    });
}

/// One ticks until its role loses the right; `revoke` names the other rights that it loses.
fn make_way(revoke: &str) {
    let (database, mut client) = database();
    let role = format!("fails_{}", crate::support::unique());
    client.batch_execute(&format!("create role {role} login in role pgq_admin")).expect("created");
    let conninfo = database.conninfo().replace("user=postgres", &format!("user={role}"));
    let failing = Job::new(&conninfo, "exception_sleep = 2\n");
    let first = failing.start();
    failing.wait_for("ticking");
    let well = Job::new(&database.conninfo(), "");
    let second = well.start();
    well.wait_for("standing by");
    client.batch_execute(&format!("revoke pgq_admin from {role}; {revoke}")).expect("revoked");
    well.wait_for("taking over");
    wait_for_ticks(&mut client, "q", 3);
    failing.wait_for("standing by");
    drop((first, second, database));
    shared().client("postgres").batch_execute(&format!("drop role {role}")).expect("dropped");
}

#[test]
fn a_ticker_that_fails_makes_way() {
    make_way("revoke select on pgq.queue from public");
}

#[test]
fn a_ticker_that_may_not_tick_makes_way() {
    make_way("");
}

#[test]
fn an_embedded_ticker_reports_its_actions() {
    use pgq::Ticker;
    use pgq::ticker::TickerRole;
    let (database, mut client) = database();
    let first = Ticker::new(&database.conninfo()).spawn().expect("up");
    wait_for("the first", || first.state().status().role == TickerRole::Ticking);
    let second = Ticker::new(&database.conninfo()).spawn().expect("up");
    wait_for("the second", || second.state().status().role == TickerRole::Standby);
    wait_for_ticks(&mut client, "q", 3);
    let status = first.state().status();
    assert!(status.ticks > 0 && status.last_round.is_some() && status.error.is_none(), "{status:?}");
    first.stop();
    first.join().expect("stopped");
    wait_for("the second to take over", || second.state().is_ticking());
    assert!(second.abort());

    let empty = Database::create("standby");
    let error = Ticker::new(&empty.conninfo()).spawn().err().expect("no PgQ");
    assert!(dbscript::describe(&error).contains("`pgq`"), "{error:?}");
}
