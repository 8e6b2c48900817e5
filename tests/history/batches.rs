//! Consumers whose target records batches.

use std::time::Duration;

use pgq::{BoxError, Event, Settings, Subscription, Worker};
use pgq_ext::{RemoteConsumer, RemoteHandler, Tracker};
use postgres::Transaction;

use super::*;
use crate::support::{Database, templates};

const QUEUE: &str = "queue";
const CONSUMER: &str = "consumer";

/// Writes the data of events to the table `applied`.
struct Apply;

impl RemoteHandler for Apply {
    fn process_remote_event(&mut self, event: &Event, dst: &mut Transaction<'_>) -> Result<(), BoxError> {
        dst.execute("insert into applied values ($1)", &[&event.data()])?;
        Ok(())
    }
}

/// A queue, and a target for the events that a consumer reads from it.
struct Ends {
    source: Database,
    target: Database,
    team: &'static [&'static str],
}

impl Ends {
    /// Makes a consumer without subconsumers when there are no names.
    fn create(team: &'static [&'static str]) -> (Ends, Client, Client) {
        let (source, mut client) = queues::database("history", QUEUE);
        let (target, mut dst) = templates::recording("history_dst");
        dst.batch_execute("create table applied (data text)").expect("created");
        let ends = Ends { source, target, team };
        for member in ends.members() {
            ends.subscription(member).register(&mut client).expect("registered");
        }
        (ends, client, dst)
    }

    fn members(&self) -> Vec<Option<&'static str>> {
        match self.team {
            [] => vec![None],
            team => team.iter().copied().map(Some).collect(),
        }
    }

    fn subscription(&self, member: Option<&str>) -> Subscription {
        let mut settings = Settings::new(QUEUE, CONSUMER);
        settings.subconsumer = member.map(str::to_owned);
        settings.merge_events = 0;
        Subscription::new(settings)
    }

    fn worker(&self, member: Option<&str>, takes_over: bool) -> Worker {
        let mut settings = self.subscription(member).settings().clone();
        settings.subconsumer_timeout = takes_over.then_some(Duration::ZERO);
        let worker = Worker::with_settings(&self.source.conninfo(), settings);
        worker.database("dst", &self.target.conninfo())
    }

    /// Applies all that is there; the members of a team one after the other.
    fn drain(&self) -> Result<(), pgq::Error> {
        self.members().into_iter().try_for_each(|member| self.drain_by(member, false))
    }

    fn drain_by(&self, member: Option<&str>, takes_over: bool) -> Result<(), pgq::Error> {
        let remote = RemoteConsumer::new(CONSUMER, "dst", Apply);
        self.worker(member, takes_over).drain(remote).map(|_| ())
    }

    #[track_caller]
    fn assert_lost(&self, member: Option<&str>) {
        let error = self.drain_by(member, false).expect_err("lost");
        let said = dbscript::describe(&error);
        assert!(said.contains("has lost its position") && said.contains("--reset"), "{said}");
    }
}

/// Returns how many events were applied, and how many different ones.
fn applied(dst: &mut Client) -> (i64, i64) {
    let row = dst.query_one("select count(*), count(distinct data) from applied", &[]).expect("readable");
    (row.get(0), row.get(1))
}

const NOBODY: &[&str] = &[];
const TEAM: &[&str] = &["a", "b"];

#[test]
fn batches_of_a_queue_that_was_made_anew_are_applied() {
    for team in [NOBODY, TEAM] {
        let (ends, mut client, mut dst) = Ends::create(team);
        batch(&mut client, QUEUE, 0, 10);
        ends.drain().expect("applied");
        queues::uninstall(&mut client);
        client.batch_execute("drop schema if exists pgq_coop cascade").expect("dropped");
        queues::install(&mut client);
        queues::create(&mut client, QUEUE);
        for member in ends.members() {
            ends.subscription(member).register(&mut client).expect("registered");
        }
        // Their numbers are on record, as other batches.
        for round in 1..4 {
            batch(&mut client, QUEUE, round * 10, 10);
            ends.drain().expect("applied");
        }
        assert_eq!(applied(&mut dst), (40, 40), "{team:?}");
    }
}

#[test]
fn a_restored_source_neither_skips_nor_doubles_in_silence() {
    for team in [NOBODY, TEAM] {
        let (ends, mut client, mut dst) = Ends::create(team);
        let first = batch(&mut client, QUEUE, 0, 10);
        ends.drain().expect("applied");
        let number = next_batch(&mut client);
        for round in 1..4 {
            batch(&mut client, QUEUE, round * 10, 10);
            ends.drain().expect("applied");
        }
        restore(&mut client, first, number);
        batch(&mut client, QUEUE, 100, 10);
        // The others have later batches, which must not hide that the first one's position was restored.
        for round in 11..16 {
            batch(&mut client, QUEUE, round * 10, 10);
            for member in ends.members() {
                ends.assert_lost(member);
            }
        }
        assert_eq!(applied(&mut dst), (40, 40), "{team:?}");
        // For good, until somebody decides.
        assert!(Tracker::new(CONSUMER).forget_batches(&mut dst).expect("forgotten") > 0);
        ends.drain().expect("applied");
        let (count, different) = applied(&mut dst);
        assert_eq!((count, different), (40 + 30 + 60, 100), "the events of the source after its tick");
    }
}

#[test]
fn a_source_that_has_forgotten_its_batches_and_not_its_ticks_doubles_nothing() {
    for team in [NOBODY, TEAM] {
        let (ends, mut client, mut dst) = Ends::create(team);
        let start = batch(&mut client, QUEUE, 0, 10);
        ends.drain().expect("applied");
        for round in 1..4 {
            batch(&mut client, QUEUE, round * 10, 10);
            ends.drain().expect("applied");
        }
        // A standby may have the ticks and not the batches, and leave numbers out.
        let back = format!(
            "update pgq.subscription set sub_last_tick = {start}, sub_batch = null, sub_next_tick = null \
             where sub_last_tick is not null; select setval('pgq.batch_id_seq', 1000)"
        );
        client.batch_execute(&back).expect("moved back");
        ends.assert_lost(ends.members()[0]);
        assert_eq!(applied(&mut dst), (40, 40), "{team:?}");
        let last = queues::tick(&mut client, QUEUE);
        pgq::admin::register_consumer_at(&mut client, QUEUE, CONSUMER, last).expect("moved forward");
        if team.is_empty() {
            batch(&mut client, QUEUE, 40, 10);
            ends.assert_lost(None);
            Tracker::new(CONSUMER).forget_batches(&mut dst).expect("forgotten");
            ends.drain().expect("applied");
            assert_eq!(applied(&mut dst), (50, 50));
        }
    }
}

#[test]
fn a_batch_that_was_overtaken_is_applied() {
    let (ends, mut client, mut dst) = Ends::create(TEAM);
    batch(&mut client, QUEUE, 0, 10);
    let held = ends.subscription(Some("b")).next_batch(&mut client).expect("answers").expect("a batch");
    for round in 1..4 {
        batch(&mut client, QUEUE, round * 10, 10);
        ends.drain_by(Some("a"), false).expect("applied");
    }
    assert_eq!(applied(&mut dst), (30, 30));
    // Both directions: the batch is taken over, and it is kept by its owner.
    ends.drain_by(Some("a"), true).expect("applied");
    assert_eq!(applied(&mut dst), (40, 40), "batch {}", held.id);
    batch(&mut client, QUEUE, 40, 10);
    ends.subscription(Some("b")).next_batch(&mut client).expect("answers").expect("a batch");
    batch(&mut client, QUEUE, 50, 10);
    ends.drain_by(Some("a"), false).expect("applied");
    ends.drain_by(Some("b"), false).expect("applied");
    assert_eq!(applied(&mut dst), (60, 60));
    let ranges = "select ticks = int8multirange(range_merge(ticks)) from pgq_ext.completed_range";
    assert!(dst.query_one(ranges, &[]).expect("recorded").get::<_, bool>(0), "no gap is left");
}

#[test]
fn a_redelivered_batch_is_finished_and_another_of_its_number_is_not() {
    for team in [NOBODY, TEAM] {
        let (ends, mut client, mut dst) = Ends::create(team);
        let member = ends.members()[0];
        batch(&mut client, QUEUE, 0, 10);
        let info = ends.subscription(member).next_batch(&mut client).expect("answers").expect("a batch");
        let tracker = Tracker::new(CONSUMER);
        let tracker = member.into_iter().fold(tracker, |tracker, name| tracker.subconsumer(name));
        tracker.set_applied(&mut dst, &info).expect("recorded");
        ends.drain().expect("finished");
        assert_eq!(applied(&mut dst), (0, 0), "{team:?}");
        batch(&mut client, QUEUE, 10, 10);
        client.batch_execute(&format!("select setval('pgq.batch_id_seq', {}, false)", info.id)).expect("set");
        ends.drain().expect("applied");
        assert_eq!(applied(&mut dst), (10, 10), "{team:?}");
    }
}

#[test]
fn registering_anew_forgets_the_batches() {
    let (ends, mut client, mut dst) = Ends::create(NOBODY);
    let first = batch(&mut client, QUEUE, 0, 10);
    ends.drain().expect("applied");
    pgq::admin::register_consumer(&mut client, QUEUE, "keeper").expect("registered");
    pgq::admin::unregister_consumer(&mut client, QUEUE, CONSUMER).expect("unregistered");
    ends.drain().expect("registered");
    pgq::admin::register_consumer_at(&mut client, QUEUE, CONSUMER, first - 1).expect("moved back");
    ends.drain().expect("applied again");
    assert_eq!(applied(&mut dst), (20, 10));
}

#[test]
fn records_of_an_earlier_queue_do_not_delay_subconsumers() {
    let (ends, mut client, mut dst) = Ends::create(TEAM);
    let members = || TEAM.iter().map(|name| Some(*name));
    let open = |client: &mut Client| {
        members().for_each(|member| {
            batch(client, QUEUE, 0, 1);
            ends.subscription(member).next_batch(client).expect("answers").expect("a batch");
        });
    };
    open(&mut client);
    ends.drain().expect("applied");
    // The same numbers, and each has the other's.
    let queue = "select pgq.unregister_consumer('queue', 'consumer'), pgq.drop_queue('queue', true)";
    client.batch_execute(queue).expect("dropped");
    client.batch_execute("select setval('pgq.batch_id_seq', 1, false)").expect("as in a new database");
    queues::create(&mut client, QUEUE);
    for member in members().rev() {
        ends.subscription(member).register(&mut client).expect("registered");
    }
    members().rev().for_each(|member| {
        batch(&mut client, QUEUE, 0, 1);
        ends.subscription(member).next_batch(&mut client).expect("answers").expect("a batch");
    });
    ends.drain().expect("applied");
    assert_eq!(applied(&mut dst), (4, 1));
}

#[test]
fn gaps_that_are_not_filled_are_closed_in_the_end() {
    let (_target, mut dst) = templates::recording("history_dst");
    let record = "select count(pgq_ext.set_batch_done('c', 's', n, 2 * n, now() + n * interval '1 s', 2 * n + 1, \
                  now() + (n + 0.5) * interval '1 s')) from generate_series(1, 800) n";
    dst.batch_execute(record).expect("recorded");
    let ranges = "select count(*), min(lower(part)), max(upper(part)) from pgq_ext.completed_range, unnest(ticks) part";
    let row = dst.query_one(ranges, &[]).expect("readable");
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1), row.get::<_, i64>(2)), (501, 2, 1601));
}

#[test]
fn a_consumer_that_was_moved_forward_continues_after_its_batches_are_forgotten() {
    let (ends, mut client, mut dst) = Ends::create(NOBODY);
    batch(&mut client, QUEUE, 0, 10);
    ends.drain().expect("applied");
    let last = batch(&mut client, QUEUE, 10, 10);
    pgq::admin::register_consumer_at(&mut client, QUEUE, CONSUMER, last).expect("moved forward");
    batch(&mut client, QUEUE, 20, 10);
    let error = ends.drain().expect_err("ten events are left out");
    assert!(dbscript::describe(&error).contains("the events between are not applied"), "{error:?}");
    assert_eq!(applied(&mut dst), (10, 10));
    Tracker::new(CONSUMER).forget_batches(&mut dst).expect("forgotten");
    ends.drain().expect("applied");
    assert_eq!(applied(&mut dst), (20, 20));
    let ranges = "select ticks = int8multirange(range_merge(ticks)) from pgq_ext.completed_range";
    assert!(dst.query_one(ranges, &[]).expect("recorded").get::<_, bool>(0));
}

#[test]
fn a_target_that_was_restored_lacks_no_events_in_silence() {
    let (ends, mut client, mut dst) = Ends::create(NOBODY);
    batch(&mut client, QUEUE, 0, 10);
    ends.drain().expect("applied");
    let dump = "create table range as table pgq_ext.completed_range; create table done as table pgq_ext.completed_batch";
    dst.batch_execute(dump).expect("saved");
    for from in [10, 20] {
        batch(&mut client, QUEUE, from, 10);
        ends.drain().expect("applied");
    }
    dst.batch_execute(
        "delete from applied where data > 'event 1' and data <> 'event 2'; delete from pgq_ext.completed_range; \
         insert into pgq_ext.completed_range table range; delete from pgq_ext.completed_batch; \
         insert into pgq_ext.completed_batch table done",
    )
    .expect("restored");
    batch(&mut client, QUEUE, 30, 10);
    for _ in 0..2 {
        ends.assert_lost(None);
    }
}
