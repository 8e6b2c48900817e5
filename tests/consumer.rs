//! The `pgq` crate's batches: pages, retries, the consumer's lock.

mod sorting;

use std::time::Duration;

use pgq::{Batch, BoxError, Consumer, Event, NewEvent, Outcome, Settings, Subscription};
use postgres::Client;

use crate::support::queues::{self, UNUSUAL};

const QUEUE: &str = "queue";

/// A consumer's subscription that is registered.
fn subscribe(client: &mut Client, change: impl FnOnce(&mut Settings)) -> Subscription {
    let mut settings = Settings::new(QUEUE, "consumer");
    change(&mut settings);
    let subscription = Subscription::new(settings);
    assert!(subscription.register(client).expect("registered"));
    assert!(!subscription.register(client).expect("registered before"));
    subscription
}

fn open<'a>(client: &'a mut Client, subscription: &Subscription) -> Batch<'a> {
    let info = subscription.next_batch(client).expect("the server answers").expect("there is a batch");
    Batch::open(client, subscription, info).expect("the batch opens")
}

fn read(batch: &mut Batch<'_>) -> Vec<Event> {
    std::iter::from_fn(|| batch.next_event().expect("the event is readable")).collect()
}

#[test]
fn every_page_size_reads_every_event_once() {
    for lazy_fetch in [None, Some(0), Some(1), Some(7), Some(300), Some(1000)] {
        let (_database, mut client) = queues::database("pages", QUEUE);
        let subscription = subscribe(&mut client, |settings| settings.lazy_fetch = lazy_fetch);
        queues::insert(&mut client, QUEUE, 0, 1000);
        queues::tick(&mut client, QUEUE);
        let mut batch = open(&mut client, &subscription);
        let events = read(&mut batch);
        assert_eq!(batch.count(), 1000);
        let expected: Vec<String> = (0..1000).map(|n| format!("event {n}")).collect();
        let data: Vec<&str> = events.iter().map(|event| event.data().expect("set")).collect();
        assert_eq!(data, expected, "{lazy_fetch:?}");
        assert!(events.windows(2).all(|pair| pair[0].id() < pair[1].id()));
        batch.finish().expect("finished");
        assert_eq!(subscription.next_batch(&mut client).expect("the server answers"), None);
    }
}

#[test]
fn an_event_has_every_column() {
    let (_database, mut client) = queues::database("columns", QUEUE);
    let subscription = subscribe(&mut client, |_| ());
    let unusual = NewEvent::new(UNUSUAL, UNUSUAL).extra([Some(UNUSUAL), None, Some(""), Some("\\N")]);
    let id = pgq::insert_new_event(&mut client, QUEUE, &unusual).expect("inserted");
    pgq::insert_new_event(&mut client, QUEUE, &NewEvent::default()).expect("inserted");
    queues::tick(&mut client, QUEUE);
    let mut batch = open(&mut client, &subscription);
    let events = read(&mut batch);
    let [full, empty] = &events[..] else { panic!("two events, not {}", events.len()) };
    assert_eq!((full.id(), full.retry(), full.event_type(), full.data()), (id, 0, UNUSUAL, Some(UNUSUAL)));
    assert_eq!(
        [full.extra1(), full.extra2(), full.extra3(), full.extra4()],
        [Some(UNUSUAL), None, Some(""), Some("\\N")]
    );
    assert!(full.txid() > 0 && empty.txid() > full.txid());
    assert!(full.time() <= empty.time() && empty.time() <= batch.info().tick_time);
    assert_eq!((empty.event_type(), empty.data(), empty.extra1()), ("", None, None));
}

#[test]
fn the_handler_may_use_the_database_between_events() {
    let (_database, mut client) = queues::database("between", QUEUE);
    client.batch_execute("create table seen (data text)").expect("created");
    let subscription = subscribe(&mut client, |settings| settings.lazy_fetch = Some(10));
    queues::insert(&mut client, QUEUE, 0, 100);
    queues::tick(&mut client, QUEUE);

    let mut batch = open(&mut client, &subscription);
    while let Some(event) = batch.next_event().expect("readable") {
        batch
            .db()
            .expect("a transaction is open")
            .execute("insert into seen values ($1)", &[&event.data()])
            .expect("inserted");
    }
    drop(batch);
    let seen = |client: &mut Client| -> i64 {
        client.query_one("select count(distinct data) from seen", &[]).expect("readable").get(0)
    };
    assert_eq!(seen(&mut client), 0, "a dropped batch is rolled back");

    let mut batch = open(&mut client, &subscription);
    while let Some(event) = batch.next_event().expect("readable") {
        batch
            .db()
            .expect("a transaction is open")
            .execute("insert into seen values ($1)", &[&event.data()])
            .expect("inserted");
    }
    batch.finish().expect("finished");
    assert_eq!(seen(&mut client), 100);
}

#[test]
fn retried_events_are_redelivered_to_their_consumer_alone() {
    let (_database, mut client) = queues::database("retry", QUEUE);
    let subscription = subscribe(&mut client, |settings| settings.lazy_fetch = Some(10));
    let other = Subscription::new(Settings::new(QUEUE, "other"));
    other.register(&mut client).expect("registered");
    queues::insert(&mut client, QUEUE, 0, 100);
    queues::tick(&mut client, QUEUE);

    let mut batch = open(&mut client, &subscription);
    let mut tagged = Vec::new();
    while let Some(event) = batch.next_event().expect("readable") {
        if event.id() % 3 == 0 {
            batch.retry(&event, Duration::ZERO);
            tagged.push(event.id());
        }
    }
    assert_eq!(batch.retried(), tagged.len() as u64);
    batch.finish().expect("finished");
    assert_eq!(pgq::ticker::retry_events(&mut client).expect("returned"), tagged.len() as u64);
    queues::tick(&mut client, QUEUE);

    let mut batch = open(&mut client, &subscription);
    let again = read(&mut batch);
    assert_eq!(again.iter().map(Event::id).collect::<Vec<_>>(), tagged);
    assert!(again.iter().all(|event| event.retry() == 1));
    batch.finish().expect("finished");
    assert_eq!(read(&mut open(&mut client, &other)).len(), 100);
}

#[test]
fn a_retry_that_is_not_due_is_not_delivered() {
    let (_database, mut client) = queues::database("later", QUEUE);
    let subscription = subscribe(&mut client, |_| ());
    queues::insert(&mut client, QUEUE, 0, 1);
    queues::tick(&mut client, QUEUE);
    let mut batch = open(&mut client, &subscription);
    let event = batch.next_event().expect("readable").expect("one event");
    batch.retry(&event, Duration::from_secs(3600));
    batch.finish().expect("finished");
    assert_eq!(pgq::ticker::retry_events(&mut client).expect("nothing is due"), 0);
}

#[test]
fn two_processes_of_one_name_do_not_get_the_same_batch() {
    let (database, mut client) = queues::database("guard", QUEUE);
    let subscription = subscribe(&mut client, |_| ());
    queues::insert(&mut client, QUEUE, 0, 10);
    queues::tick(&mut client, QUEUE);
    let mut rival = database.client();
    let info = subscription.next_batch(&mut rival).expect("answers").expect("a batch");
    let batch = open(&mut client, &subscription);
    assert_eq!(*batch.info(), info);
    let error = Batch::open(&mut rival, &subscription, info.clone()).err().expect("refused");
    assert!(error.kind() == pgq::ErrorKind::Busy, "{error}");
    assert_eq!((error.queue(), error.batch()), (Some(QUEUE), Some(info.id)));
    let error = subscription.next_batch(&mut rival).expect_err("refused");
    assert!(error.kind() == pgq::ErrorKind::Busy, "{error}");
    batch.finish().expect("finished");
    // The batch is finished, not available to others.
    assert!(Batch::open(&mut rival, &subscription, info).is_err());
}

#[test]
fn processes_of_one_name_that_race_for_batches_share_them_out() {
    let (database, mut client) = queues::database("race", QUEUE);
    client.batch_execute("create table seen (id bigint, batch bigint)").expect("created");
    let subscription = subscribe(&mut client, |settings| settings.merge_events = 0);
    for n in 0..30 {
        queues::insert(&mut client, QUEUE, n * 10, 10);
        queues::tick(&mut client, QUEUE);
    }
    let work = || {
        let mut client = database.client();
        loop {
            let info = match subscription.next_batch(&mut client) {
                Ok(Some(info)) => info,
                Ok(None) => break,
                Err(error) if error.kind() == pgq::ErrorKind::Busy => continue,
                Err(error) => panic!("{error:?}"),
            };
            // Between the two, the other process may have taken and finished the batch.
            let Ok(mut batch) = Batch::open(&mut client, &subscription, info) else { continue };
            while let Some(event) = batch.next_event().expect("readable") {
                let id = batch.info().id;
                batch
                    .db()
                    .expect("a transaction is open")
                    .execute("insert into seen values ($1, $2)", &[&event.id(), &id])
                    .expect("inserted");
            }
            batch.finish().expect("an open batch stays with its consumer");
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    let row = client.query_one("select count(*), count(distinct id), count(distinct batch) from seen", &[]);
    let row = row.expect("readable");
    assert_eq!([row.get::<_, i64>(0), row.get(1), row.get(2)], [300, 300, 30]);
}

#[test]
fn a_batch_that_somebody_else_finished_is_rolled_back() {
    let (database, mut client) = queues::database("stolen", QUEUE);
    client.batch_execute("create table done (x int)").expect("created");
    let subscription = subscribe(&mut client, |_| ());
    queues::insert(&mut client, QUEUE, 0, 10);
    queues::tick(&mut client, QUEUE);
    let mut batch = open(&mut client, &subscription);
    let db = batch.db().expect("a transaction is open");
    db.execute("insert into done values (1)", &[]).expect("inserted");
    database.client().execute("select pgq.finish_batch($1)", &[&batch.info().id]).expect("finished");
    let error = batch.finish().expect_err("another session has finished it");
    assert!(error.to_string().contains("somebody else"), "{error}");
    let done: i64 = client.query_one("select count(*) from done", &[]).expect("readable").get(0);
    assert_eq!(done, 0);
}

#[test]
fn batches_are_collected_as_the_settings_say() {
    let (_database, mut client) = queues::database("collect", QUEUE);
    let subscription = subscribe(&mut client, |settings| settings.collect_events = Some(25));
    queues::insert(&mut client, QUEUE, 0, 20);
    queues::tick(&mut client, QUEUE);
    assert_eq!(subscription.next_batch(&mut client).expect("answers"), None, "too few events");
    queues::insert(&mut client, QUEUE, 20, 20);
    queues::tick(&mut client, QUEUE);
    let mut batch = open(&mut client, &subscription);
    assert_eq!(read(&mut batch).len(), 40);
    batch.finish().expect("finished");

    let with_lag = |lag: Duration| {
        let mut settings = Settings::new(QUEUE, "consumer");
        settings.keep_lag = Some(lag);
        Subscription::new(settings)
    };
    queues::tick(&mut client, QUEUE);
    let lagging = with_lag(Duration::from_secs(3600));
    assert_eq!(lagging.next_batch(&mut client).expect("answers"), None, "too young");
    let eager = with_lag(Duration::ZERO);
    assert!(eager.next_batch(&mut client).expect("answers").is_some());
}

#[test]
fn without_merging_each_tick_is_a_batch() {
    let (_database, mut client) = queues::database("ticks", QUEUE);
    let subscription = subscribe(&mut client, |settings| settings.merge_events = 0);
    let ticks: Vec<i64> = (0..3).map(|_| queues::tick(&mut client, QUEUE)).collect();
    for tick in ticks {
        let batch = open(&mut client, &subscription);
        assert_eq!((batch.info().prev_tick, batch.info().tick), (tick - 1, tick));
        batch.finish().expect("finished");
    }
}

/// Returns the outcome that its event names.
struct Picky;

impl Consumer for Picky {
    fn process_event(&mut self, event: &Event, batch: &mut Batch<'_>) -> Result<Outcome, BoxError> {
        assert_eq!(batch.queue(), QUEUE);
        match event.data() {
            Some("event 3") => Ok(Outcome::Retry(Duration::ZERO)),
            Some(data) => {
                data.strip_prefix("event ").ok_or("no event")?.parse::<u32>()?;
                Ok(Outcome::Done)
            }
            None => Err("no data".into()),
        }
    }
}

struct Nothing;

impl Consumer for Nothing {}

#[test]
fn outcomes_of_single_events_decide() {
    let (_database, mut client) = queues::database("outcome", QUEUE);
    let subscription = subscribe(&mut client, |_| ());
    queues::insert(&mut client, QUEUE, 0, 10);
    queues::tick(&mut client, QUEUE);
    let mut batch = open(&mut client, &subscription);
    Picky.process_batch(&mut batch).expect("processed");
    assert_eq!((batch.count(), batch.retried()), (10, 1));
    batch.finish().expect("finished");

    pgq::insert_event(&mut client, QUEUE, "bad", "event x").expect("inserted");
    queues::tick(&mut client, QUEUE);
    let mut batch = open(&mut client, &subscription);
    let error = Picky.process_batch(&mut batch).expect_err("no number");
    let error = error.downcast::<pgq::Error>().expect("names the event");
    assert!(error.event().is_some() && error.batch().is_some() && error.queue() == Some(QUEUE));
    assert!(std::error::Error::source(&*error).expect("the cause").is::<std::num::ParseIntError>());
    drop(batch);
    let mut batch = open(&mut client, &subscription);
    let error = Nothing.process_batch(&mut batch).expect_err("nothing is implemented");
    assert!(dbscript::describe(&*error).contains("neither `process_batch` nor `process_event`"), "{error}");
}

#[test]
fn names_may_hold_any_character() {
    let (_database, mut client) = queues::database("odd", UNUSUAL);
    let subscription = Subscription::new(Settings::new(UNUSUAL, UNUSUAL));
    assert!(!subscription.is_registered(&mut client).expect("answers"));
    subscription.register(&mut client).expect("registered");
    assert!(subscription.is_registered(&mut client).expect("answers"));
    pgq::insert_event(&mut client, UNUSUAL, UNUSUAL, UNUSUAL).expect("inserted");
    queues::tick(&mut client, UNUSUAL);
    let mut batch = open(&mut client, &subscription);
    assert_eq!(read(&mut batch)[0].data(), Some(UNUSUAL));
    batch.finish().expect("finished");
    assert!(subscription.unregister(&mut client).expect("unregistered"));
    assert!(!subscription.unregister(&mut client).expect("unregistered before"));
}

#[test]
fn text_that_is_not_utf8_is_an_error_of_its_event() {
    let (_database, mut client) = crate::support::Database::create_encoded("SQL_ASCII", "ascii");
    queues::install(&mut client);
    queues::create(&mut client, QUEUE);
    let subscription = subscribe(&mut client, |_| ());
    client
        .execute("select pgq.insert_event($1, 'raw', convert_from('\\xff'::bytea, 'SQL_ASCII'))", &[&QUEUE])
        .expect("inserted");
    queues::tick(&mut client, QUEUE);
    let error = open(&mut client, &subscription).next_event().expect_err("not UTF-8");
    assert!(error.batch().is_some() && error.event().is_some(), "{error}");
}
