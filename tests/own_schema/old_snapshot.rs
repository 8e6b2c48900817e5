//! Under an old snapshot the server keeps every version of every row. What a call costs must not depend on how many there
//! are: the pages that a round visits are counted before and after hundreds or thousands of rounds.

use std::time::Duration;

use pgq::schema::Kind;
use pgq::{Batch, Settings, Subscription};
use postgres::Client;

use crate::support::amount::pick;
use crate::support::{Database, queues, wait_for};

/// Creates a database with the own schema, a queue and a consumer; returns a session, and one that holds a snapshot.
fn prepare() -> (Database, Client, Client) {
    let database = Database::create("old_snapshot");
    let mut client = database.client();
    queues::install_as(&mut client, Kind::Own);
    pgq_ext::schema::install(&mut client).expect("installs");
    queues::create(&mut client, "q");
    client.batch_execute("select pgq.register_consumer('q', 'c')").expect("registered");
    let mut holder = database.client();
    holder.batch_execute("begin isolation level repeatable read; select from pgq.queue").expect("a snapshot");
    (database, client, holder)
}

/// Runs rounds of statements, each in a transaction of its own.
fn run(client: &mut Client, round: &[&str], times: usize) {
    let steps: String = round.iter().map(|step| format!("execute $step${step}$step$; commit; ")).collect();
    client
        .batch_execute(&format!("do $do$ begin for n in 1 .. {times} loop {steps} end loop; end $do$"))
        .expect("rounds");
}

/// Runs one round and returns the number of pages that it visits.
fn pages(client: &mut Client, round: &[&str]) -> i64 {
    let visited = |step: &&str| {
        let plan = client.query(&format!("explain (analyze, buffers) {step}"), &[]).expect("runs");
        let buffers =
            plan.iter().map(|row| row.get::<_, String>(0)).find(|line| line.contains("Buffers: shared"));
        let buffers = buffers.unwrap_or_default();
        let count =
            |kind: &str| buffers.split(' ').find_map(|word| word.strip_prefix(kind)?.parse::<i64>().ok());
        count("hit=").unwrap_or(0) + count("read=").unwrap_or(0)
    };
    round.iter().map(visited).sum()
}

/// The fewest pages of several rounds, since a page that is full makes one round visit more.
fn fewest(client: &mut Client, round: &[&str]) -> i64 {
    (0..5).map(|_| pages(client, round)).min().expect("rounds")
}

/// Checks that a round visits hardly more pages after `times` rounds than before them, both in the session whose plans are
/// from the beginning and in a new one, and when autovacuum has counted the rows. The short form of the tests does a quarter
/// of the rounds.
pub(crate) fn assert_steady(database: &Database, client: &mut Client, round: &[&str], times: usize) {
    let times = pick(times / 4, times);
    run(client, round, 50);
    let before = fewest(client, round);
    run(client, round, times);
    let after = fewest(client, round);
    // The indexes have a level more. Visiting the dead rows would make it a hundred times as many.
    assert!(after <= before * 2, "{before} pages a round before {times} rounds, {after} after them");
    let mut other = database.client();
    run(&mut other, round, 10);
    let after = fewest(&mut other, round);
    assert!(after <= before * 2, "{before} pages a round before {times} rounds, {after} in a new session");
    // Few rows in many pages: a sequential scan looks cheap.
    client.batch_execute("vacuum analyze").expect("vacuumed");
    for client in [client, &mut database.client()] {
        run(client, round, 10);
        let after = fewest(client, round);
        // Another plan may visit some more pages, but not those of the dead rows.
        assert!(
            after <= before * 3,
            "{before} pages a round before {times} rounds, {after} with new statistics"
        );
    }
}

/// The statements of programs name no functions that could choose their plans.
#[test]
fn programs_open_batches_without_reading_whole_tables() {
    let (database, mut client, _holder) = prepare();
    run(&mut client, &[&OPEN[..], &[FINISH]].concat(), pick(1000, 3000));
    client.batch_execute("select pgq_coop.register_subconsumer('q', 'team', 's')").expect("registered");
    client.batch_execute("vacuum analyze").expect("vacuumed");
    let mut settings: [Settings; 5] = std::array::from_fn(|_| Settings::new("q", "c"));
    settings[1].keep_lag = Some(Duration::ZERO);
    settings[2].collect_events = Some(1);
    settings[3].merge_events = 0;
    settings[4].consumer = "team".to_owned();
    settings[4].subconsumer = Some("s".to_owned());
    for settings in settings {
        client.batch_execute(OPEN[0]).expect("inserted");
        queues::tick(&mut client, "q");
        let shown = format!("{settings:?}");
        // A new session has counted nothing yet.
        let mut session = database.client();
        let subscription = Subscription::new(settings);
        let info = subscription.next_batch(&mut session).expect(&shown).expect(&shown);
        let mut batch = Batch::open(&mut session, &subscription, info).expect("opened");
        while batch.next_event().expect("read").is_some() {}
        batch.finish().expect("finished");
        let read = "select relname::text from pg_stat_xact_user_tables \
             where seq_scan > 0 and relname in ('subscription', 'tick')";
        let read: Vec<String> =
            session.query(read, &[]).expect("counted").iter().map(|row| row.get(0)).collect();
        assert!(read.is_empty(), "{read:?} with {shown}");
    }
}

/// Puts an event into a batch, and opens the batch.
const OPEN: [&str; 3] = [
    "select pgq.insert_event('q', 'type', 'data')",
    "select pgq.ticker('q')",
    "select set_config('test.batch', pgq.next_batch('q', 'c')::text, false)",
];
const READ: &str = "select count(*) from pgq.get_batch_events(current_setting('test.batch')::bigint)";
const FINISH: &str = "select pgq.finish_batch(current_setting('test.batch')::bigint)";

#[test]
fn batches_visit_as_many_pages_as_ever() {
    let (database, mut client, _holder) = prepare();
    let info = "select count(*) from pgq.get_consumer_info('q', 'c')";
    let round = [
        &OPEN[..],
        &[READ, "select pgq.get_batch_info(current_setting('test.batch')::bigint)", FINISH, info],
    ];
    assert_steady(&database, &mut client, &round.concat(), 3000);
}

#[test]
fn batches_of_subconsumers_visit_as_many_pages_as_ever() {
    let (database, mut client, _holder) = prepare();
    let next = |name: &str| {
        format!(
            "select set_config('test.batch', \
             (pgq_coop.next_batch_custom('q', 'team', '{name}', null, null, null, '1 hour')).batch_id::text, false)"
        )
    };
    client.batch_execute("select pgq_coop.register_subconsumer('q', 'team', 'a')").expect("registered");
    let (a, b) = (next("a"), next("b"));
    let finish = "select pgq_coop.finish_batch(current_setting('test.batch')::bigint)";
    let round = [OPEN[0], OPEN[1], &a, READ, finish, OPEN[0], OPEN[1], &b, READ, finish, &a];
    // The last call finds no batch.
    assert_steady(&database, &mut client, &round, 1500);
}

#[test]
fn retries_visit_as_many_pages_as_ever() {
    let (database, mut client, _holder) = prepare();
    let retry = "select pgq.event_retry(current_setting('test.batch')::bigint, ev_id, 0) \
         from pgq.get_batch_events(current_setting('test.batch')::bigint) where ev_retry is null";
    let due = "select pgq.maint_retry_events()";
    let round = [&OPEN[..], &[retry, FINISH, due, "select pgq._mark_retries(false)"]].concat();
    assert_steady(&database, &mut client, &round, 2000);
}

#[test]
fn failed_events_visit_as_many_pages_as_ever() {
    let (database, mut client, _holder) = prepare();
    let fail = "select pgq.event_failed(current_setting('test.batch')::bigint, ev_id, 'reason') \
         from pgq.get_batch_events(current_setting('test.batch')::bigint) where ev_retry is null";
    let id = "select pgq.failed_event_retry('q', 'c', currval('pgq.event_1_id_seq'))";
    let round = [&OPEN[..], &[fail, FINISH, id]].concat();
    assert_steady(&database, &mut client, &round, 2000);
}

/// Ticks stay as long as a consumer needs them.
#[test]
fn a_consumer_that_is_far_behind_visits_as_many_pages_as_ever() {
    let (database, mut client, _holder) = prepare();
    client.batch_execute("select pgq.register_consumer('q', 'late')").expect("registered");
    let current = [&OPEN[..], &[READ, FINISH]].concat();
    let next = "select set_config('test.batch', pgq.next_batch('q', 'late')::text, false)";
    let behind = [next, READ, FINISH];
    run(&mut client, &current, 50);
    let before = fewest(&mut client, &behind);
    run(&mut client, &current, pick(1000, 3000));
    let after = fewest(&mut client, &behind);
    assert!(after <= before * 2, "{before} pages a batch before the rounds, {after} after them");
    assert_steady(&database, &mut client, &behind, 1000);
}

/// As a consumer that merges ticks opens its batches: no tick after the batch is read.
#[test]
fn a_consumer_that_merges_ticks_reads_none_behind_its_batch() {
    let (_database, mut client, _holder) = prepare();
    client.batch_execute("select pgq.register_consumer('q', 'late')").expect("registered");
    let current = [&OPEN[..], &[READ, FINISH]].concat();
    let ticks = "select * from pgq._next_ticks('q', 'late')";
    let next = "select set_config('test.batch', \
         (pgq.next_batch_custom('q', 'late', null, 2, '1 day')).batch_id::text, false)";
    let behind = [ticks, next, READ, FINISH];
    run(&mut client, &current, 50);
    let before = fewest(&mut client, &behind);
    client
        .batch_execute(
            "insert into pgq.tick (tick_queue, tick_id, tick_event_seq) \
             select tick_queue, tick_id + n, tick_event_seq + n from generate_series(1, 30000) n, \
                 (select * from pgq.tick order by tick_id desc limit 1) last",
        )
        .expect("inserted");
    let after = fewest(&mut client, &behind);
    assert!(after <= before * 2, "{before} pages a batch before the ticks, {after} after them");
}

fn size(client: &mut Client) -> i64 {
    client.query_one("select pg_total_relation_size('pgq.subscription')", &[]).expect("a size").get(0)
}

fn position(client: &mut Client) -> i64 {
    client.query_one("select sub_last_tick from pgq.subscription", &[]).expect("a position").get(0)
}

/// The newest version of the row is at the end of the file, where `vacuum` cannot truncate.
#[test]
fn maintenance_returns_the_space() {
    let (database, mut client, mut holder) = prepare();
    let at = position(&mut client);
    run(&mut client, &["update pgq.subscription set sub_active = clock_timestamp()"], 15_000);
    let before = size(&mut client);
    assert!(before > 1_500_000, "{before}");
    pgq::ticker::maintain(&mut client).expect("maintained");
    holder.batch_execute("rollback").expect("ended");
    // Other tests' transactions in other databases do not count.
    wait_for("all dead rows to go", || {
        client.batch_execute("vacuum pgq.subscription").expect("vacuumed");
        client.batch_execute("select pg_stat_clear_snapshot()").expect("cleared");
        let dead = "select pg_stat_get_dead_tuples('pgq.subscription'::regclass)";
        client.query_one(dead, &[]).expect("counted").get::<_, i64>(0) == 0
    });
    let mut user = database.client();
    user.batch_execute("begin; select pgq.next_batch('q', 'c')").expect("a consumer");
    pgq::ticker::maintain(&mut client).expect("maintained");
    assert!(size(&mut client) > 1_000_000, "a table in use was rewritten");
    user.batch_execute("rollback").expect("ended");
    pgq::ticker::maintain(&mut client).expect("maintained");
    assert!(size(&mut client) < 100_000, "{}", size(&mut client));
    assert_eq!(position(&mut client), at);
}

/// As the programs tag the events of a batch.
#[test]
fn events_that_are_tagged_together_visit_as_many_pages_as_ever() {
    let (database, mut client, _holder) = prepare();
    let tag = |function: &str, value: &str| {
        format!(
            "select pgq.{function}(current_setting('test.batch')::bigint, array_agg(ev_id), array_agg({value})) \
             from pgq.get_batch_events(current_setting('test.batch')::bigint) where ev_retry is null having count(*) > 0"
        )
    };
    let (retry, fail) = (tag("event_retry_many", "0"), tag("event_failed_many", "'reason'::text"));
    let due = "select pgq.maint_retry_events()";
    let delete = "select pgq.failed_event_delete('q', 'c', currval('pgq.event_1_id_seq'))";
    let round = [&OPEN[..], &[&retry, &fail, delete, FINISH, due]].concat();
    assert_steady(&database, &mut client, &round, 2000);
}
