//! Which queue ticks when, and which cannot.

use std::collections::BTreeSet;
use std::time::Duration;

use pgq::testing::force_tick;
use postgres::Client;

use super::*;
use crate::support::{Database, queues, templates};

const NEVER: &str = "1 day";

fn database() -> (Database, Client) {
    let (database, mut client) = templates::prepared("ticker");
    create_eager(&mut client, "eager");
    (database, client)
}

#[test]
fn each_queue_ticks_by_its_own_rules() {
    let (database, mut client) = database();
    create(&mut client, "count", ["10", NEVER, NEVER]);
    create(&mut client, "lag", ["1000000", "50 milliseconds", NEVER]);
    create(&mut client, "idle", ["1", "10 milliseconds", "50 milliseconds"]);
    for (queue, column) in [("paused", "queue_ticker_paused"), ("elsewhere", "queue_external_ticker")] {
        create_eager(&mut client, queue);
        client
            .execute(&format!("update pgq.queue set {column} = true where queue_name = $1"), &[&queue])
            .expect("set");
    }
    // A queue needs two ticks before it counts as idle. On the extension, its first event does not count.
    queues::insert(&mut client, "count", 0, 1);
    force_tick(&mut client, "count").expect("ticked");
    let still = ["count", "paused", "elsewhere"];
    let before = still.map(|queue| last_tick(&mut client, queue));
    let job = Job::new(&database.conninfo(), "");
    let _ticker = job.start();
    queues::insert(&mut client, "count", 0, 9);
    wait_for_ticks(&mut client, "idle", 10);
    assert_eq!(still.map(|queue| last_tick(&mut client, queue)), before);

    queues::insert(&mut client, "count", 9, 1);
    wait_for("a tick by the number of events", || last_tick(&mut client, "count") == before[0] + 1);
    queues::insert(&mut client, "lag", 0, 1);
    wait_for_ticks(&mut client, "lag", 1);

    client.execute("select pgq.set_queue_config('count', 'ticker_max_lag', '0')", &[]).expect("set");
    queues::insert(&mut client, "count", 10, 1);
    wait_for_ticks(&mut client, "count", 1);
    client.batch_execute("update pgq.queue set queue_ticker_paused = false").expect("set");
    wait_for_ticks(&mut client, "paused", 3);
    assert_eq!(last_tick(&mut client, "elsewhere"), before[2]);
}

/// Counts the calls of the function that ticks a queue, at least so many, after its callers have disconnected.
fn calls(client: &mut Client, least: i64) -> i64 {
    let mut number = |select: &str| -> i64 { client.query_one(select, &[]).expect("readable").get(0) };
    let others = "select count(*) from pg_stat_activity \
                  where datname = current_database() and pid <> pg_backend_pid()";
    wait_for("the ticker to leave", || number(others) == 0);
    let calls = "select coalesce(pg_stat_get_function_calls('pgq.ticker(text)'::regprocedure), 0)";
    wait_for("its counts", || number(calls) >= least);
    number(calls)
}

#[test]
fn a_queue_that_has_ticked_is_not_checked_again_for_its_old_events() {
    // Nobody else's transactions, after which queues are read anew.
    let server = Server::builder().setting("track_functions", "all").setting("autovacuum", "off").start();
    let server = server.unwrap_or_else(|error| panic!("{error}"));
    let mut client = server.client("postgres");
    queues::install(&mut client);
    create(&mut client, "q", ["1000000", "1 second", NEVER]);
    create_eager(&mut client, "eager");
    let ticks = |client: &mut Client| -> i64 {
        client.query_one("select count(*) from pgq.tick", &[]).expect("readable").get(0)
    };
    let before = ticks(&mut client);
    let ticker = pgq::Ticker::new(&server.conninfo("postgres")).loop_delay(Duration::from_millis(10));
    let ticker = ticker.spawn().expect("up");
    queues::insert(&mut client, "q", 0, 1);
    wait_for_ticks(&mut client, "q", 1);
    wait_for_ticks(&mut client, "eager", 200);
    ticker.stop();
    ticker.join().expect("stopped");
    let made = ticks(&mut client) - before;
    let in_vain = calls(&mut client, made) - made;
    assert!(in_vain < 5, "{in_vain} of {made}");
}

#[test]
fn queues_are_created_and_dropped_while_the_ticker_runs() {
    let (database, mut client) = database();
    let job = Job::new(&database.conninfo(), "");
    let _ticker = job.start();
    wait_for_ticks(&mut client, "eager", 1);
    for round in 0..5 {
        let queue = format!("new {round} {}", queues::UNUSUAL);
        create_eager(&mut client, &queue);
        queues::insert(&mut client, &queue, 0, 1);
        wait_for_ticks(&mut client, &queue, 2);
        client.execute("select pgq.drop_queue($1)", &[&queue]).expect("dropped");
        wait_for_ticks(&mut client, "eager", 2);
    }
    assert!(!job.log().contains("ERROR"), "{}", job.log());
}

#[test]
fn a_queue_that_cannot_be_ticked_is_named_and_the_others_tick() {
    let (database, mut client) = database();
    create_eager(&mut client, "broken");
    let job = Job::new(&database.conninfo(), "");
    let _ticker = job.start();
    wait_for_ticks(&mut client, "broken", 2);
    let sequence: String = client
        .query_one("select queue_tick_seq from pgq.queue where queue_name = 'broken'", &[])
        .expect("there")
        .get(0);
    client.batch_execute(&format!("alter sequence {sequence} rename to away")).expect("renamed");
    job.wait_for("cannot tick queue `broken`: ERROR 42P01");
    wait_for_ticks(&mut client, "eager", 20);
    let name = sequence.rsplit('.').next().expect("a name");
    client.batch_execute(&format!("alter sequence pgq.away rename to {name}")).expect("renamed");
    job.wait_for("queue `broken` ticks again");
    wait_for_ticks(&mut client, "broken", 2);
    assert_eq!(job.log().matches("cannot tick").count(), 1, "{}", job.log());
}

#[test]
fn a_queue_that_is_locked_does_not_hold_up_the_others() {
    let (database, mut client) = database();
    for queue in ["ticked", "dropped"] {
        create_eager(&mut client, queue);
    }
    let job = Job::new(&database.conninfo(), "");
    let _ticker = job.start();
    wait_for_ticks(&mut client, "dropped", 2);
    let mut holders = [database.client(), database.client()];
    let [one, other] = &mut holders;
    let mut ticking = one.transaction().expect("begin");
    ticking.execute("select pgq.ticker('ticked')", &[]).expect("ticked");
    let mut dropping = other.transaction().expect("begin");
    dropping.execute("select pgq.drop_queue('dropped')", &[]).expect("dropped");
    wait_for_ticks(&mut client, "eager", 20);
    dropping.rollback().expect("rolled back");
    ticking.rollback().expect("rolled back");
    wait_for_ticks(&mut client, "ticked", 2);
    wait_for_ticks(&mut client, "dropped", 2);
}

#[test]
fn a_lock_on_a_table_of_all_queues_fails_the_round() {
    let (database, mut client) = database();
    for n in 0..20 {
        create_eager(&mut client, &format!("q{n}"));
    }
    let job = Job::new(&database.conninfo(), "");
    let _ticker = job.start();
    wait_for_ticks(&mut client, "q19", 2);
    let mut holder = database.client();
    for (mode, complaint) in [("share", "wait for a lock"), ("access exclusive", "which queues are due")] {
        let mut hold = holder.transaction().expect("begin");
        hold.batch_execute(&format!("lock table pgq.tick in {mode} mode")).expect("locked");
        wait_for(complaint, || {
            job.log().lines().any(|line| line.contains("Job job failed") && line.contains(complaint))
        });
        hold.rollback().expect("rolled back");
        wait_for_ticks(&mut client, "q0", 2);
        wait_for_ticks(&mut client, "q19", 2);
    }
    assert!(job.log().matches("cannot tick").count() <= 1, "{}", job.log());
}

#[test]
fn many_locked_queues_do_not_hold_up_the_others() {
    let (database, mut client) = database();
    let locked: Vec<String> = (0..8).map(|n| format!("q{n}")).collect();
    for queue in locked.iter().map(String::as_str).chain(["last"]) {
        create_eager(&mut client, queue);
    }
    let job = Job::new(&database.conninfo(), "");
    let _ticker = job.start();
    wait_for_ticks(&mut client, "last", 2);
    let mut holder = database.client();
    let mut hold = holder.transaction().expect("begin");
    for queue in &locked {
        hold.execute("select pgq.drop_queue($1)", &[queue]).expect("dropped");
    }
    wait_for_ticks(&mut client, "last", 10);
    wait_for_ticks(&mut client, "eager", 10);
    hold.rollback().expect("rolled back");
    for queue in &locked {
        wait_for_ticks(&mut client, queue, 2);
    }
}

#[test]
fn the_ticks_of_two_tickers_do_not_mix() {
    for kind in [pgq::schema::Kind::Own, pgq::schema::Kind::Extension] {
        let (database, mut client) = templates::installed(kind, "ticker");
        create_eager(&mut client, "q");
        // The lock of another ticker while it ticks.
        let mut holder = database.client();
        let mut hold = holder.transaction().expect("begin");
        hold.execute("select pg_advisory_xact_lock(hashtext('pgq ticker'), -1)", &[]).expect("locked");
        let ticker = pgq::Ticker::new(&database.conninfo()).spawn().expect("up");
        wait_for("a tick that waits", || !ticker.state().status().failing_queues.is_empty());
        assert_eq!(ticker.state().status().ticks, 0);
        hold.rollback().expect("rolled back");
        wait_for_ticks(&mut client, "q", 2);
    }
}

#[test]
fn a_role_of_pgqs_own_is_enough() {
    let (database, mut client) = database();
    let role = format!("ticker_{}", crate::support::unique());
    client.batch_execute(&format!("create role {role} login in role pgq_admin")).expect("created");
    let job = Job::new(&database.conninfo().replace("user=postgres", &format!("user={role}")), "");
    let ticker = job.start();
    retries::schedule_retry(&mut client, "eager");
    retries::wait_for_return(&mut client, "eager");
    drop(ticker);
    assert!(!job.log().contains("ERROR"), "{}", job.log());
    drop(database);
    shared().client("postgres").batch_execute(&format!("drop role {role}")).expect("dropped");
}

#[test]
fn tables_rotate_and_events_are_redelivered() {
    let (database, mut client) = database();
    client
        .batch_execute(
            "select pgq.set_queue_config('eager', 'rotation_period', '0'); \
             select pgq.register_consumer('eager', 'reader')",
        )
        .expect("set");
    let job = Job::new(&database.conninfo(), "");
    let _ticker = job.start();
    queues::insert(&mut client, "eager", 0, 25);
    let (mut tables, mut again) = (BTreeSet::new(), 0);
    wait_for("every event to be redelivered and every table to be used", || {
        let select = "select queue_cur_table from pgq.queue where queue_name = 'eager'";
        tables.insert(client.query_one(select, &[]).expect("there").get::<_, i32>(0));
        let next = "select pgq.next_batch('eager', 'reader')";
        let batch: Option<i64> = client.query_one(next, &[]).expect("answers").get(0);
        if batch.is_some() {
            let retry = "select count(*) filter (where ev_retry is not null), \
                 sum(case when ev_retry is null then pgq.event_retry($1, ev_id, 0) end) \
                 from pgq.get_batch_events($1)";
            again += client.query_one(retry, &[&batch]).expect("readable").get::<_, i64>(0);
            client.execute("select pgq.finish_batch($1)", &[&batch]).expect("finished");
        }
        again == 25 && tables.len() == 3
    });
}

#[test]
fn extra_maintenance_is_repeated_on_request() {
    let (_database, mut client) = database();
    client
        .batch_execute(
            "create sequence public.calls; \
             create function public.often(text) returns integer language sql as \
                 'select (nextval(''public.calls'') % 5 <> 0)::integer'; \
             update pgq.queue set queue_extra_maint = '{public.often}'",
        )
        .expect("created");
    assert_eq!(pgq::ticker::maintain(&mut client).expect("done"), 5);
}
