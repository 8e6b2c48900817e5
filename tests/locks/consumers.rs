//! Locks of consumers, at the source and at the target.

use nix::sys::signal::Signal;

use super::*;
use crate::support::programs::{JOB, Pair, Running, SOURCE_QUEUE, TARGET_QUEUE};
use crate::support::{queues, wait_for};

/// A mover with events to move, and an unrelated role at its source or its target.
struct Scene {
    pair: Pair,
    unrelated: UnrelatedRole,
}

impl Scene {
    fn create(more: &str, at_target: bool) -> Scene {
        let pair = Pair::create();
        pair.write_ini(more);
        pair.register();
        let mut source = pair.source_client();
        queues::insert(&mut source, SOURCE_QUEUE, 1, 10);
        queues::tick(&mut source, SOURCE_QUEUE);
        let database = if at_target { &pair.target } else { &pair.source };
        let unrelated = UnrelatedRole::connect(pair.server(), database);
        Scene { pair, unrelated }
    }

    fn moved(&self) -> usize {
        queues::count(&mut self.pair.target_client(), TARGET_QUEUE)
    }

    /// Expects a mover to name the unrelated role that has its lock, to stop while it waits, and to lose nothing.
    fn play(&mut self) {
        let log = || self.pair.log();
        let mut mover = Running::start(&mut self.pair.mover(&[]));
        wait_for("a warning", || log().contains(&self.unrelated.named()));
        assert!(log().contains(" WARNING ") && log().contains(&self.unrelated.remedy()), "{}", log());
        assert!(!log().contains(" ERROR "), "{}", log());
        mover.signal(Signal::SIGINT);
        assert_eq!(mover.wait(), Some(0), "{}", log());
        assert!(!log().contains(" ERROR "), "{}", log());
        assert_eq!(self.moved(), 0);
        self.unrelated.unlock();
        self.pair.drain();
        assert_eq!(self.moved(), 10);
        self.pair.assert_moved();
    }
}

#[test]
fn a_mover_that_waits_at_the_target_names_the_holder_and_stops() {
    let mut scene = Scene::create("", true);
    scene.unrelated.lock(&[&format!("hashtextextended(format('pgq_ext %L %L', '{JOB}', null), 0)")]);
    scene.play();
}

#[test]
fn a_mover_that_keeps_ids_waits_in_the_same_way() {
    let mut scene = Scene::create("keep_event_ids = 1\n", true);
    scene.unrelated.lock(&[&format!("hashtextextended(format('pgq ids %L', '{TARGET_QUEUE}'), 0)")]);
    scene.play();
}

#[test]
fn a_lock_of_an_unrelated_role_is_no_second_process() {
    for more in ["", "pgq_twin = stop\n"] {
        let mut scene = Scene::create(more, false);
        let key = format!("hashtextextended(format('pgq %L %L', '{SOURCE_QUEUE}', '{JOB}'), 0)");
        scene.unrelated.lock(&[&key]);
        scene.play();
    }
}

#[test]
fn subconsumers_that_wait_for_an_unrelated_role_name_it() {
    let (database, mut client) = queues::database("locks", "queue");
    let mut unrelated = UnrelatedRole::connect(database.server(), database.name());
    let mut settings = pgq::Settings::new("queue", "consumer");
    settings.subconsumer = Some("a".to_owned());
    let subscription = pgq::Subscription::new(settings);
    subscription.register(&mut client).expect("registered");
    queues::insert(&mut client, "queue", 1, 1);
    queues::tick(&mut client, "queue");
    unrelated.lock(&["hashtextextended(format('pgq finish %L %L', 'queue', 'consumer'), 0)"]);
    client.batch_execute("set lock_timeout = '200ms'").expect("set");
    let error = subscription.next_batch(&mut client).expect_err("an unrelated role has the lock");
    assert!(dbscript::describe(&error).contains(&unrelated.named()), "{error:?}");
    assert!(error.kind() != pgq::ErrorKind::Busy, "{error:?}");
    unrelated.unlock();
    let batch = subscription.next_batch(&mut client).expect("free").expect("a batch");
    let batch = pgq::Batch::open(&mut client, &subscription, batch).expect("open");
    unrelated.lock(&["hashtextextended(format('pgq finish %L %L', 'queue', 'consumer'), 0)"]);
    let error = batch.finish().expect_err("an unrelated role has the lock");
    assert!(dbscript::describe(&error).contains(&unrelated.named()), "{error:?}");
    unrelated.unlock();
    let batch = subscription.next_batch(&mut client).expect("free").expect("the same batch");
    pgq::Batch::open(&mut client, &subscription, batch).expect("open").finish().expect("finished");
}

/// The server serves those that wait for each other: it ends one of them.
#[test]
fn a_deadlock_is_found_while_a_lock_is_waited_for() {
    let (database, mut client) = queues::database("locks", "queue");
    client.batch_execute("create table t (id int); insert into t values (1)").expect("created");
    let mut other = database.client();
    let mut first = client.transaction().expect("begun");
    first.batch_execute("update t set id = 2").expect("updated");
    let mut second = other.transaction().expect("begun");
    let tracker = pgq_ext::Tracker::new("c");
    tracker.lock(&mut second).expect("free");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(move || {
            let updated = second.batch_execute("update t set id = 3");
            drop(second);
            updated
        });
        let locked = tracker.lock(&mut first).err().map(|error| dbscript::describe(&error));
        drop(first);
        let updated = waiting.join().expect("no panic").err().map(|error| dbscript::describe(&error));
        let ended: Vec<String> = [locked, updated].into_iter().flatten().collect();
        assert_eq!(ended.len(), 1, "{ended:?}");
        assert!(ended[0].contains("40P01"), "{ended:?}");
    });
}

#[test]
fn a_lock_timeout_names_the_holder_and_keeps_the_transaction() {
    let (database, mut client) = queues::database("locks", "queue");
    let mut unrelated = UnrelatedRole::connect(database.server(), database.name());
    unrelated.lock(&["hashtextextended(format('pgq_ext %L %L', 'c', null), 0)"]);
    client.batch_execute("set lock_timeout = '100ms'").expect("set");
    let mut transaction = client.transaction().expect("begun");
    let error =
        pgq_ext::Tracker::new("c").lock(&mut transaction).expect_err("an unrelated role has the lock");
    assert!(dbscript::describe(&error).contains(&unrelated.named()), "{error:?}");
    let row = transaction.query_one("select current_setting('lock_timeout')", &[]);
    assert_eq!(row.expect("alive").get::<_, &str>(0), "100ms");
    transaction.batch_execute("set local lock_timeout = '60s'").expect("set");
    let mut watcher = database.client();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let waits = "select count(*) > 0 from pg_stat_activity \
                         where datname = current_database() and wait_event_type = 'Lock'";
            wait_for("it to wait", || watcher.query_one(waits, &[]).expect("readable").get(0));
            unrelated.unlock();
        });
        pgq_ext::Tracker::new("c").lock(&mut transaction).expect("free in the end");
    });
    let row = transaction.query_one("select current_setting('lock_timeout')", &[]);
    assert_eq!(row.expect("alive").get::<_, &str>(0), "1min", "as it was");
}
