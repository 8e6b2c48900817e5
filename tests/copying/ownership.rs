//! After a crash of the server a batch's id may belong to another consumer: no consumer finishes, tags or reads the
//! batch of another one.

use std::time::Duration;

use pgq::{Batch, Settings, Subscription, Worker};
use pgq_ext::{RemoteConsumer, RemoteHandler, SerialConsumer};
use postgres::{Client, Transaction};

use super::{CONSUMER, KINDS, QUEUE, database};
use crate::support::{queues, wait_for};

/// Gives the batch that the consumer has open to another one, as a crash does: the sequence of ids goes back.
fn hand_over(client: &mut Client, batch: i64) {
    pgq::admin::register_consumer(client, QUEUE, "other").expect("registered");
    client
        .batch_execute(&format!(
            "update pgq.subscription other set sub_last_tick = own.sub_last_tick, sub_next_tick = own.sub_next_tick \
             from pgq.subscription own where own.sub_batch = {batch} \
                 and other.sub_consumer = (select co_id from pgq.consumer where co_name = 'other'); \
             update pgq.subscription set sub_batch = null, sub_next_tick = null where sub_batch = {batch}; \
             update pgq.subscription set sub_batch = {batch} \
             where sub_consumer = (select co_id from pgq.consumer where co_name = 'other')"
        ))
        .expect("handed over");
}

/// Fails unless the other consumer still has its batch.
#[track_caller]
fn assert_left(client: &mut Client, batch: i64, what: &str) {
    let (_, open) = queues::position(client, QUEUE, "other");
    assert_eq!(open, Some(batch), "{what}");
}

/// Every way to have a batch: in a transaction, without, and as a subconsumer.
fn settings() -> [Settings; 4] {
    [(false, None), (true, None), (false, Some("a")), (true, Some("a"))].map(|(autocommit, subconsumer)| {
        let mut settings = Settings::new(QUEUE, CONSUMER);
        settings.autocommit = autocommit;
        settings.subconsumer = subconsumer.map(str::to_owned);
        settings
    })
}

#[test]
fn a_batch_that_now_belongs_to_another_consumer_is_left_open() {
    for kind in KINDS {
        for (at, settings) in settings().into_iter().enumerate() {
            let tags = ["failed", "unopened", "none", "retry"];
            // Each database costs a quarter of a second, and only the functions differ between the kinds.
            for tag in if kind == pgq::schema::Kind::Own { &tags[..] } else { &tags[at..=at] } {
                let (database, mut client) = database(kind);
                let subscription = Subscription::new(settings.clone());
                subscription.register(&mut client).expect("registered");
                queues::insert(&mut client, QUEUE, 0, 3);
                queues::tick(&mut client, QUEUE);
                let info = subscription.next_batch(&mut client).expect("answers").expect("a batch");
                let mut worker = database.client();
                let what = format!("{kind:?} {at} {tag}");
                if *tag == "unopened" {
                    hand_over(&mut client, info.id);
                    let opened = Batch::open(&mut worker, &subscription, info.clone()).map(drop);
                    opened.expect_err(&what);
                } else {
                    let mut batch = Batch::open(&mut worker, &subscription, info.clone()).expect("opened");
                    let event = batch.next_event().expect("read").expect("an event");
                    hand_over(&mut client, info.id);
                    match *tag {
                        "retry" => batch.retry(&event, Duration::ZERO),
                        "failed" => batch.fail(&event, "no"),
                        _ => {}
                    }
                    let error = batch.finish().expect_err(&what);
                    assert!(error.to_string().contains("by somebody else"), "{what}: {error}");
                }
                assert_left(&mut client, info.id, &what);
                let retried = "select count(*) from pgq.retry_queue";
                assert_eq!(client.query_one(retried, &[]).expect("readable").get::<_, i64>(0), 0, "{what}");
            }
        }
    }
}

/// The same consumer's, of the same number, but with other ticks: the process that stood by has opened it.
#[test]
fn a_batch_of_other_ticks_is_another_batch() {
    for settings in settings() {
        let (database, mut client) = database(pgq::schema::Kind::Own);
        let subscription = Subscription::new(settings);
        subscription.register(&mut client).expect("registered");
        queues::insert(&mut client, QUEUE, 0, 3);
        queues::tick(&mut client, QUEUE);
        let info = subscription.next_batch(&mut client).expect("answers").expect("a batch");
        let mut worker = database.client();
        let mut batch = Batch::open(&mut worker, &subscription, info.clone()).expect("opened");
        batch.next_event().expect("read").expect("an event");
        queues::insert(&mut client, QUEUE, 3, 3);
        let tick = queues::tick(&mut client, QUEUE);
        let longer = "update pgq.subscription set sub_next_tick = $2 where sub_batch = $1";
        client.execute(longer, &[&info.id, &tick]).expect("longer");
        batch.finish().expect_err("three events were not read");
    }
}

struct HandOver(Option<Client>);

impl RemoteHandler for HandOver {
    fn process_remote_batch(
        &mut self,
        events: &mut pgq::Events<'_>,
        _dst: &mut Transaction<'_>,
    ) -> Result<(), pgq::BoxError> {
        if let Some(mut client) = self.0.take() {
            hand_over(&mut client, events.info().id);
        }
        while events.next_event()?.is_some() {}
        Ok(())
    }
}

#[test]
fn a_remote_batch_that_now_belongs_to_another_consumer_is_left_open() {
    for (is_serial, subconsumer) in [(true, None), (false, None), (false, Some("a"))] {
        let (database, mut client) = database(pgq::schema::Kind::Own);
        pgq_ext::schema::install(&mut client).expect("installed");
        let mut settings = Settings::new(QUEUE, CONSUMER);
        settings.subconsumer = subconsumer.map(str::to_owned);
        Subscription::new(settings.clone()).register(&mut client).expect("registered");
        queues::insert(&mut client, QUEUE, 0, 3);
        queues::tick(&mut client, QUEUE);
        let worker = Worker::with_settings(&database.conninfo(), settings)
            .database("dst", &database.conninfo())
            .exception_sleep(Duration::from_millis(10));
        let handler = HandOver(Some(database.client()));
        let worker = match is_serial {
            true => worker.spawn(SerialConsumer::new(CONSUMER, "dst", handler)),
            false => worker.spawn(RemoteConsumer::new(CONSUMER, "dst", handler)),
        };
        let worker = worker.expect("up");
        wait_for("the round to fail", || worker.totals().failed > 0);
        drop(worker);
        let (_, open) = queues::position(&mut client, QUEUE, "other");
        assert!(open.is_some(), "{is_serial} {subconsumer:?}");
    }
}

/// A consumer must not process a batch that the server forgets in a crash.
#[test]
fn only_the_transaction_that_finishes_a_batch_stands_in_for_the_disk() {
    struct Reader;
    impl pgq::Consumer for Reader {
        fn process_batch(&mut self, batch: &mut Batch<'_>) -> Result<(), pgq::BoxError> {
            while batch.next_event()?.is_some() {}
            Ok(())
        }
    }
    for (settings, expected) in settings().into_iter().zip(["off", "on", "on", "on"]) {
        let (database, mut client) = database(pgq::schema::Kind::Own);
        client
            .batch_execute(
                "create table opened (waits text); grant all on opened to public; \
                 create function note() returns trigger language plpgsql as $$ begin \
                     if new.sub_batch is not null and old.sub_batch is null then \
                         insert into public.opened values (current_setting('synchronous_commit')); \
                     end if; return new; end $$; \
                 create trigger note before update on pgq.subscription for each row execute function note()",
            )
            .expect("created");
        Subscription::new(settings.clone()).register(&mut client).expect("registered");
        queues::insert(&mut client, QUEUE, 0, 3);
        queues::tick(&mut client, QUEUE);
        let worker = Worker::with_settings(&database.conninfo(), settings);
        worker.drain(Reader).expect("drained");
        let waits = "select min(waits) from opened";
        assert_eq!(client.query_one(waits, &[]).expect("readable").get::<_, &str>(0), expected);
    }
}
