//! Several processes of one consumer that apply batches in another database.

use pgq::Worker;
use pgq_ext::{RemoteConsumer, RemoteHandler, Tracker};
use postgres::Transaction;

use super::coop::{is_waiting, sub};
use super::*;
use crate::support::programs::{Pair, errors};
use crate::support::{templates, wait_for};

/// Writes the data of events to the table `applied`.
struct Apply;

impl RemoteHandler for Apply {
    fn process_remote_event(&mut self, event: &Event, dst: &mut Transaction<'_>) -> Result<(), BoxError> {
        dst.execute("insert into applied values ($1)", &[&event.data()])?;
        Ok(())
    }
}

#[test]
fn a_remote_batch_that_is_taken_over_is_applied_once() {
    for applied in [false, true] {
        let (source, mut client) = Pgq::Own.database();
        let (target, mut dst) = templates::recording("coop_dst");
        dst.batch_execute("create table applied (data text)").expect("created");
        let (a, b) = (sub("a", |_| ()), sub("b", |s| s.subconsumer_timeout = Some(Duration::ZERO)));
        for subscription in [&a, &b] {
            subscription.register(&mut client).expect("registered");
        }
        fill(&mut client, 10);
        let batch = a.next_batch(&mut client).expect("answers").expect("a batch");
        let tracker = Tracker::new(CONSUMER).subconsumer("a");
        // It dies before, or after, its commit on the target.
        if applied {
            assert!(tracker.set_batch_done(&mut dst, batch.id).expect("recorded"));
            assert!(!tracker.set_batch_done(&mut dst, batch.id).expect("recorded before"));
        }
        let worker = Worker::with_settings(&source.conninfo(), b.settings().clone())
            .database("dst", &target.conninfo())
            .loop_delay(SHORT)
            .spawn(RemoteConsumer::new(CONSUMER, "dst", Apply).subconsumer("b"))
            .expect("up");
        let is_open = "select count(*) > 0 from pgq.subscription where sub_batch is not null";
        wait_for("the batch", || !client.query_one(is_open, &[]).expect("readable").get::<_, bool>(0));
        drop(worker);
        let count: i64 = dst.query_one("select count(*) from applied", &[]).expect("readable").get(0);
        assert_eq!(count, if applied { 0 } else { 10 });
        assert!(tracker.is_batch_done(&mut dst, batch.id).expect("readable"));
    }
}

/// Two databases, with two subconsumers registered.
struct Ends {
    source: Database,
    target: Database,
}

impl Ends {
    fn create(pgq: Pgq) -> (Ends, Client, Client) {
        let (source, mut client) = pgq.database();
        let (target, mut dst) = templates::recording("coop_dst");
        dst.batch_execute("create table applied (data text)").expect("created");
        for name in ["a", "b"] {
            sub(name, |_| ()).register(&mut client).expect("registered");
        }
        (Ends { source, target }, client, dst)
    }

    fn worker(&self, name: &str, timeout: Option<Duration>) -> Worker {
        let settings = sub(name, |s| s.subconsumer_timeout = timeout).settings().clone();
        let worker = Worker::with_settings(&self.source.conninfo(), settings);
        worker.database("dst", &self.target.conninfo()).loop_delay(SHORT).exception_sleep(SHORT)
    }
}

fn remote() -> RemoteConsumer<Apply> {
    RemoteConsumer::new(CONSUMER, "dst", Apply)
}

/// Returns how many events were applied, and how many different ones.
fn applied(dst: &mut Client) -> (i64, i64) {
    let row = dst.query_one("select count(*), count(distinct data) from applied", &[]).expect("readable");
    (row.get(0), row.get(1))
}

fn numbered(client: &mut Client, from: i64) {
    queues::insert(client, QUEUE, from, 10);
    queues::tick(client, QUEUE);
}

#[test]
fn a_paused_remote_consumer_applies_nothing_after_a_takeover() {
    for pgq in Pgq::WHOLE {
        let (ends, mut client, mut dst) = Ends::create(pgq);
        let mut holder = ends.target.client();
        let mut hold = holder.transaction().expect("begin");
        let lock = "select pg_advisory_xact_lock(hashtextextended( \
                    format('pgq_ext %L %L', $1::text, 'a'), 0))::text";
        hold.query_one(lock, &[&CONSUMER]).expect("locked");
        numbered(&mut client, 0);
        let a = ends.worker("a", None).spawn(remote()).expect("up");
        wait_for("a to be amid its batch", || is_waiting(&mut dst, CONSUMER));
        ends.worker("b", Some(Duration::ZERO)).drain(remote()).expect("taken over");
        numbered(&mut client, 10);
        ends.worker("b", Some(Duration::ZERO)).drain(remote()).expect("drained");
        assert_eq!(applied(&mut dst), (20, 20));
        hold.rollback().expect("released");
        wait_for("a to fail", || a.totals().failed > 0);
        numbered(&mut client, 20);
        wait_for("a to go on", || applied(&mut dst).0 >= 30);
        drop(a);
        assert_eq!(applied(&mut dst), (30, 30), "{pgq:?}");
    }
}

#[test]
fn the_record_of_a_batch_that_was_taken_over_stays_until_that_is_finished() {
    for pgq in Pgq::WHOLE {
        let (ends, mut client, mut dst) = Ends::create(pgq);
        numbered(&mut client, 0);
        let batch = sub("a", |_| ()).next_batch(&mut client).expect("answers").expect("a batch");
        assert!(
            Tracker::new(CONSUMER).subconsumer("a").set_batch_done(&mut dst, batch.id).expect("recorded")
        );
        let taken = sub("b", |s| s.subconsumer_timeout = Some(Duration::ZERO));
        assert_eq!(taken.next_batch(&mut client).expect("answers"), Some(batch));
        numbered(&mut client, 10);
        let error = ends.worker("a", None).drain(remote()).expect_err("b has the other batch");
        assert!(dbscript::describe(&error).contains("has not finished it"), "{error:?}");
        assert_eq!(applied(&mut dst), (0, 0));
        ends.worker("b", None).drain(remote()).expect("only finished");
        ends.worker("a", None).drain(remote()).expect("drained");
        assert_eq!(applied(&mut dst), (10, 10), "{pgq:?}");
    }
}

#[test]
fn a_remote_consumer_has_the_names_of_its_settings() {
    let (ends, mut client, mut dst) = Ends::create(Pgq::Own);
    numbered(&mut client, 0);
    ends.worker("a", None).drain(remote()).expect("drained");
    let names = "select string_agg(subconsumer_id, ',') from pgq_ext.completed_batch where consumer_id = $1";
    assert_eq!(dst.query_one(names, &[&CONSUMER]).expect("readable").get::<_, &str>(0), "a");
    for delivery in [remote().subconsumer("b"), RemoteConsumer::new("other", "dst", Apply)] {
        let error = ends.worker("a", None).drain(delivery).expect_err("another name");
        assert!(dbscript::describe(&error).contains("the consumer is `consumer.a`"), "{error:?}");
    }
}

#[test]
fn an_older_schema_is_reported_at_startup() {
    let (ends, _client, mut dst) = Ends::create(Pgq::Own);
    dst.batch_execute("drop function pgq_ext.is_batch_done_by_any(text, bigint)").expect("dropped");
    let error = ends.worker("a", None).spawn(remote()).map(drop).expect_err("it is too old");
    assert!(dbscript::describe(&error).contains("`pgqadm CONFIG.ini install`"), "{error:?}");
    pgq_ext::schema::install(&mut dst).expect("up to date");
    ends.worker("a", None).drain(remote()).expect("drained");
}

#[test]
fn a_policy_for_a_consumer_that_cannot_retry_is_refused() {
    let (ends, _client, _dst) = Ends::create(Pgq::Own);
    let mut settings = Settings::new(QUEUE, CONSUMER);
    settings.retry_policy = Some(pgq::RetryPolicy::fixed(Duration::ZERO));
    let worker = Worker::with_settings(&ends.source.conninfo(), settings);
    let worker = worker.database("dst", &ends.target.conninfo());
    let error = worker.spawn(remote()).map(drop).expect_err("it retries nothing");
    assert!(
        error.kind() == pgq::ErrorKind::Usage && error.to_string().contains("pgq_max_retries"),
        "{error:?}"
    );
    let pair = Pair::create();
    let output = pair.mover(&["--set", "pgq_max_retries=1"]).output().expect("starts");
    let line = errors(&output);
    assert_eq!(output.status.code(), Some(2), "{line}");
    assert!(line.contains("pgq_max_retries") && line.lines().count() == 1, "{line}");
}

#[test]
fn batches_with_an_order_have_no_subconsumers() {
    let pair = Pair::create();
    for switch in ["-v", "--register", "--unregister", "--rewind", "--reset"] {
        let output = pair.mover(&[switch, "--set", "subconsumer_name=a"]).output().expect("starts");
        let line = errors(&output);
        assert_eq!(output.status.code(), Some(2), "{switch}: {line}");
        assert!(line.contains("subconsumers") && line.lines().count() == 1, "{line}");
    }
}
