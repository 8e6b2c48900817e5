//! Tables of an earlier release, whose primary keys visit all versions of a row.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use postgres::Client;

use super::{TABLES, assert_unique, installed, text};
use crate::support::{Database, wait_for};

/// The tables of the earlier release.
const FORMER: &str = "
    create schema pgq_ext;
    create table pgq_ext.completed_tick (
        consumer_id text not null, subconsumer_id text not null default '', last_tick_id bigint not null,
        primary key (consumer_id, subconsumer_id));
    create table pgq_ext.completed_batch (
        consumer_id text not null, subconsumer_id text not null default '', last_batch_id bigint not null,
        primary key (consumer_id, subconsumer_id));
    create table pgq_ext.completed_event (
        consumer_id text not null, subconsumer_id text not null default '', batch_id bigint not null,
        event_id bigint not null, primary key (consumer_id, subconsumer_id, batch_id, event_id));
    create table pgq_ext.partial_batch (
        consumer_id text not null, subconsumer_id text not null default '', cur_batch_id bigint not null,
        primary key (consumer_id, subconsumer_id));
    create table pgq_ext.claimed_batch (
        queue_name text not null, consumer_id text not null, batch_id bigint not null, tick_id bigint not null,
        tick_time timestamptz not null, opened_at timestamptz not null, primary key (queue_name, consumer_id));
    create table pgq_ext.claimed_event (
        queue_name text not null, consumer_id text not null, batch_id bigint not null, event_id bigint not null,
        event_mark bigint not null, primary key (queue_name, consumer_id, batch_id, event_id, event_mark));
    create table pgq_ext.checkpoint (
        consumer_id text not null, subconsumer_id text not null default '', kind text not null, number bigint not null,
        prev_tick_id bigint, tick_id bigint, tick_time timestamptz not null,
        primary key (consumer_id, subconsumer_id, kind));
    create table pgq_ext.completed_range (
        consumer_id text not null primary key, ticks int8multirange not null, last_tick_id bigint not null,
        last_tick_time timestamptz not null)";

const ROWS: &str = "
    insert into pgq_ext.completed_tick values ('c', '', 5), ('c', 's', 6);
    insert into pgq_ext.completed_batch values ('c', '', 7), ('c', 's', 8);
    insert into pgq_ext.completed_event values ('c', '', 9, 1), ('c', '', 9, 2);
    insert into pgq_ext.partial_batch values ('c', '', 9);
    insert into pgq_ext.claimed_batch values ('q', 'c', 10, 3, '2026-01-01', '2026-01-02');
    insert into pgq_ext.claimed_event values ('q', 'c', 10, 1, 1);
    insert into pgq_ext.checkpoint values ('c', '', 'tick', 5, 5, 5, '2026-01-01'),
        ('c', '', 'batch', 7, 3, 4, '2026-01-01'), ('c', '', 'events', 9, null, null, '2026-01-01');
    insert into pgq_ext.completed_range values ('c', '{[1,4)}', 4, '2026-01-01')";

/// Creates a database with the tables of the earlier release.
fn former() -> (Database, Client) {
    let database = Database::create("records_former");
    let mut client = database.client();
    client.batch_execute(&format!("{FORMER}; {ROWS}")).expect("as in the earlier release");
    (database, client)
}

/// Returns the rows of all tables as text.
fn rows(client: &mut Client) -> Vec<String> {
    [
        "completed_tick",
        "completed_batch",
        "completed_event",
        "partial_batch",
        "claimed_batch",
        "claimed_event",
        "checkpoint",
        "completed_range",
    ]
    .map(|table| {
        text(client, &format!("select string_agg(t::text, ' ' order by t::text) from pgq_ext.{table} t"))
    })
    .to_vec()
}

/// Returns the indexes, triggers and replica identities.
fn keys(client: &mut Client) -> String {
    text(
        client,
        "select string_agg(fact, e'\\n' order by fact) from ( \
             select indexdef from pg_indexes where schemaname = 'pgq_ext' \
             union all select pg_get_triggerdef(oid) from pg_trigger where not tgisinternal \
             union all select concat(relname, relreplident) from pg_class \
                 where relnamespace = 'pgq_ext'::regnamespace and relkind = 'r') facts (fact)",
    )
}

#[test]
fn rows_of_the_former_tables_are_kept_and_used() {
    let (_database, mut client) = former();
    let before = rows(&mut client);
    assert!(pgq_ext::schema::install(&mut client).is_ok());
    assert_eq!(rows(&mut client), before);
    let (_other, mut new) = installed("records_new");
    assert_eq!(keys(&mut client), keys(&mut new));
    for value in [
        "(select (tick_id, tick_time) = (5, '2026-01-01') from pgq_ext.get_checkpoint('c', ''))",
        "(select is_done and has_ticks from pgq_ext.get_batch_status('c', '', 7, 3, 4, '2026-01-01'))",
        "not pgq_ext.set_batch_done('c', '', 7, 3, '2026-01-01', 4, '2026-01-01')",
        "pgq_ext.is_batch_done_by_any('c', 8)",
        "pgq_ext.set_batch_done('c', 's', 9)",
        "pgq_ext.is_event_done('c', '', 9, 2, '2026-01-01')",
        "not pgq_ext.set_event_done('c', '', 9, 2, '2026-01-01')",
        "not pgq_ext.claim_event('q', 'c', 10, '2026-01-01', 3, '2026-01-01', '2026-01-02', 1, 1)",
        "pgq_ext.set_last_tick('c', '', 6, '2026-01-02') = 1",
    ] {
        assert_eq!(text(&mut client, value), "true", "{value}");
    }
    assert_unique(&mut client);
    let inserts = ["completed_tick", "completed_batch", "partial_batch"].map(|table| {
        client
            .batch_execute(&format!("insert into pgq_ext.{table} values ('c', '', 1)"))
            .expect_err("a second row")
    });
    assert!(inserts.iter().all(|error| error.code() == Some(&postgres::error::SqlState::UNIQUE_VIOLATION)));
}

#[test]
fn the_printed_script_upgrades_too() {
    let (_database, mut client) = former();
    let before = rows(&mut client);
    client.batch_execute(&format!("begin; {}; commit", pgq_ext::schema::sql())).expect("run");
    assert_eq!(rows(&mut client), before);
    let (_other, mut new) = installed("records_new");
    assert_eq!(keys(&mut client), keys(&mut new));
}

#[test]
fn an_upgrade_while_consumers_record_loses_nothing() {
    let (database, mut client) = former();
    let before = keys(&mut client);
    pgq_ext::schema::install(&mut client).expect("the functions");
    let new = keys(&mut client);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let record = || {
            let mut client = database.client();
            let mut last = 100;
            while !stop.load(Ordering::Relaxed) {
                last += 1;
                let at = format!("'2026-01-01'::timestamptz + {last} * interval '1 s'");
                let calls = format!(
                    "begin; select pgq_ext.get_batch_status('c', '', {last}, {last}, {last} + 1, {at}); \
                     select pgq_ext.set_batch_done('c', '', {last}, {last}, {at}, {last} + 1, {at}); commit; \
                     begin; select pgq_ext.is_event_done('c', '', {last}, 1, {at}); \
                     select pgq_ext.set_event_done('c', '', {last}, 1, {at}); commit; \
                     begin; select pgq_ext.get_checkpoint('c', ''); \
                     select pgq_ext.set_last_tick('c', '', {last}, {at}); commit"
                );
                client.batch_execute(&calls).expect("recorded");
            }
            last
        };
        let consumer = scope.spawn(record);
        for _ in 0..10 {
            make_former(&mut client);
            assert_eq!(keys(&mut client).matches("UNIQUE").count(), before.matches("UNIQUE").count() + 1);
            let reached = text(&mut client, "pgq_ext.get_last_batch('c', '')");
            wait_for("another batch", || text(&mut client, "pgq_ext.get_last_batch('c', '')") != reached);
            pgq_ext::schema::install(&mut client).expect("upgraded");
            assert_eq!(keys(&mut client), new);
        }
        stop.store(true, Ordering::Relaxed);
        let last = consumer.join().expect("no error").to_string();
        assert_eq!(text(&mut client, "pgq_ext.get_last_batch('c', '')"), last);
        assert_eq!(text(&mut client, "pgq_ext.get_last_tick('c')"), last);
        assert_eq!(
            text(&mut client, "(select cur_batch_id from pgq_ext.partial_batch where consumer_id = 'c')"),
            last
        );
    });
    assert_unique(&mut client);
}

/// Gives the tables their former keys, in the order in which consumers lock them.
fn make_former(client: &mut Client) {
    let steps = TABLES.map(|(table, key)| {
        format!(
            "drop index pgq_ext.{table}_newest_idx; drop trigger unique_key on pgq_ext.{table}; \
             alter table pgq_ext.{table} add primary key ({key}), replica identity default"
        )
    });
    let locks = TABLES.map(|(table, _)| format!("lock table pgq_ext.{table} in access exclusive mode"));
    let steps = [locks, steps].concat().join("; ");
    client.batch_execute(&format!("begin; {steps}; commit")).expect("as in the earlier release");
}

#[test]
fn an_installation_that_changes_nothing_does_not_wait_for_consumers() {
    let (database, mut client) = installed("records_again");
    let mut consumer = database.client();
    consumer
        .batch_execute(
            "begin; select pgq_ext.set_batch_done('c', '', 1, 1, now(), 2, now()), pgq_ext.set_last_tick('c', '', 1, now()), \
                 pgq_ext.set_event_done('c', '', 1, 1, now()), \
                 pgq_ext.begin_claims('q', 'c', 1, now(), 2, now(), now())",
        )
        .expect("recorded");
    client.batch_execute("set lock_timeout = '1ms'").expect("set");
    pgq_ext::schema::install(&mut client).expect("installed again");
    client.batch_execute("create publication everything for all tables").expect("published");
    consumer.batch_execute("commit; select pgq_ext.set_batch_done('c', 2)").expect("recorded");
}
