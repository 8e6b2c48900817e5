//! `pgqd` ticks, returns events, rotates and maintains.

use std::collections::BTreeSet;

use super::*;
use crate::support::{builder_with_extension, wait_for};

on_both_kinds!(
    it_ticks_returns_events_and_rotates,
    it_calls_the_extra_maintenance_of_each_queue,
    it_skips_paused_queues
);

/// A consumer that retries each event once, and records the redelivered events.
struct Reader {
    client: Client,
    seen: Vec<(i64, i32)>,
}

impl Reader {
    fn register(mut client: Client) -> Reader {
        assert!(pgq::admin::register_consumer(&mut client, QUEUE, "reader").expect("registered"));
        Reader { client, seen: Vec::new() }
    }

    /// Reads a batch if there is one; returns how many events were redelivered so far.
    fn read(&mut self) -> usize {
        let next = "select pgq.next_batch($1, 'reader')";
        let batch: Option<i64> = self.client.query_one(next, &[&QUEUE]).expect("answers").get(0);
        if batch.is_some() {
            let events = "select ev_id, ev_retry from pgq.get_batch_events($1)";
            for row in self.client.query(events, &[&batch]).expect("readable") {
                match (row.get(0), row.get(1)) {
                    (id, Some(times)) => self.seen.push((id, times)),
                    (id, None) => self.schedule_retry(batch, id),
                }
            }
            self.client.execute("select pgq.finish_batch($1)", &[&batch]).expect("finished");
        }
        self.seen.len()
    }

    fn schedule_retry(&mut self, batch: Option<i64>, event: i64) {
        let retry = "select pgq.event_retry($1, $2, 0)";
        assert_eq!(self.client.query_one(retry, &[&batch, &event]).expect("scheduled").get::<_, i32>(0), 1);
    }
}

fn it_ticks_returns_events_and_rotates(kind: Kind) {
    let (database, mut client) = database(kind);
    let mut reader = Reader::register(database.client());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let _daemon = pgqd(database.server(), folder.path(), &[database.name()]);
    let mut tables = BTreeSet::new();
    for round in 0..6 {
        queues::insert(&mut client, QUEUE, round * 10, 10);
        wait_for("all events to be redelivered", || reader.read() as i64 == (round + 1) * 10);
        tables.insert(current_table(&mut client));
    }
    wait_for("each table to be the current one", || {
        reader.read();
        tables.insert(current_table(&mut client));
        tables.len() == 3
    });
    wait_for("the emptied tables", || {
        reader.read();
        queues::count(&mut client, QUEUE) == 0
    });
    let distinct: BTreeSet<i64> = reader.seen.iter().map(|(id, _)| *id).collect();
    assert_eq!((reader.seen.len(), distinct.len()), (60, 60), "{:?}", reader.seen);
    assert!(reader.seen.iter().all(|(_, times)| *times == 1), "{:?}", reader.seen);
}

fn it_calls_the_extra_maintenance_of_each_queue(kind: Kind) {
    let (database, mut client) = database(kind);
    client
        .batch_execute(
            "create table called (id serial, name text, queue text); \
             create function first(text) returns integer language sql as \
                 'insert into called (name, queue) values (''first'', $1) returning 0'; \
             create schema other; \
             create function other.second(text) returns integer language sql as \
                 'insert into public.called (name, queue) values (''second'', $1) returning 0'; \
             select pgq.create_queue('its own'), pgq.create_queue('without'); \
             update pgq.queue set queue_extra_maint = '{public.first, other.second}' where queue_name = 'queue'; \
             update pgq.queue set queue_extra_maint = '{other.second}' where queue_name = 'its own'",
        )
        .expect("created");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut daemon = pgqd(database.server(), folder.path(), &[database.name()]);
    wait_for("two rounds of maintenance", || {
        let last = "select count(*) > 1 from called where queue = 'queue' and name = 'second'";
        client.query_one(last, &[]).expect("readable").get(0)
    });
    daemon.kill();
    let calls = client.query("select name, queue from called order by id limit 6", &[]).expect("readable");
    let calls: Vec<(&str, &str)> = calls.iter().map(|row| (row.get(0), row.get(1))).collect();
    let round = [("second", "its own"), ("first", QUEUE), ("second", QUEUE)];
    assert_eq!(calls, [round, round].concat());
}

fn it_skips_paused_queues(kind: Kind) {
    let (database, mut client) = database(kind);
    queues::create(&mut client, "paused");
    queues::create(&mut client, "elsewhere");
    client
        .batch_execute(
            "update pgq.queue set queue_ticker_paused = true where queue_name = 'paused'; \
             update pgq.queue set queue_external_ticker = true where queue_name = 'elsewhere'",
        )
        .expect("set");
    let ticks = "select max(tick_id) filter (where queue_name = $1), count(*) filter (where queue_name <> $1) \
                 from pgq.tick join pgq.queue on queue_id = tick_queue";
    let mut ticks = || -> (Option<i64>, i64) {
        let row = client.query_one(ticks, &[&QUEUE]).expect("readable");
        (row.get(0), row.get(1))
    };
    let (last, of_others) = ticks();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let _daemon = pgqd(database.server(), folder.path(), &[database.name()]);
    wait_for("three ticks", || ticks().0 > last.map(|last| last + 3));
    assert_eq!(ticks().1, of_others);
}

/// Without autovacuum, maintenance has tables to vacuum, of which `pgqd` 3.5 does the first and gives up until
/// its next round. Without a list, it finds the databases by itself.
#[test]
fn it_finds_every_database_and_vacuums() {
    let server = builder_with_extension().setting("autovacuum", "off").start().expect("a server");
    let kinds = [("own", Kind::Own), ("extension", Kind::Extension)];
    for (name, kind) in kinds {
        server.create_database(name);
        let mut client = server.client(name);
        queues::install_as(&mut client, kind);
        create(&mut client);
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let _daemon = pgqd(&server, folder.path(), &[]);
    for (name, _) in kinds {
        let mut client = server.client(name);
        let ticks = "select count(*) > 3 from pgq.tick";
        wait_for("ticks", || client.query_one(ticks, &[]).expect("readable").get(0));
        let first = "select relname::text, vacuum_count > 0 from pg_stat_all_tables \
                     where relid = (select to_regclass(tables) from pgq.maint_tables_to_vacuum() tables limit 1)";
        wait_for("a table to be vacuumed", || client.query_one(first, &[]).expect("readable").get(1));
        assert_eq!(client.query_one(first, &[]).expect("readable").get::<_, &str>(0), "subscription");
    }
}
