//! Several processes that share one position.

use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};

use nix::sys::signal::Signal;
use pgq::Worker;
use tempfile::TempDir;

use super::*;
use crate::support::programs::{Running, command_on, errors, succeed};
use crate::support::wait_for;

pub(super) fn sub(name: &str, change: impl FnOnce(&mut Settings)) -> Subscription {
    let mut settings = Settings::new(QUEUE, CONSUMER);
    settings.subconsumer = Some(name.to_owned());
    change(&mut settings);
    Subscription::new(settings)
}

fn numbers(client: &mut Client, subscription: &Subscription) -> Vec<i64> {
    take(client, subscription).iter().map(|seen| seen.0).collect()
}

#[test]
fn subconsumers_have_batches_at_the_same_time_and_each_event_once() {
    for pgq in Pgq::WHOLE {
        for autocommit in [false, true] {
            let (database, mut client) = pgq.database();
            let (out, received) = channel();
            let together = Arc::new(Barrier::new(2));
            let workers = ["a", "b"].map(|name| {
                let (out, together, mut first) = (out.clone(), together.clone(), true);
                let consumer = handler(move |event, _| {
                    if std::mem::take(&mut first) {
                        together.wait();
                    }
                    out.send(number(event))?;
                    Ok(Outcome::Done)
                });
                let mut settings = sub(name, |_| ()).settings().clone();
                settings.autocommit = autocommit;
                settings.merge_events = 0;
                let worker = Worker::with_settings(&database.conninfo(), settings).loop_delay(SHORT);
                worker.spawn(consumer).expect("up")
            });
            for round in 0..10 {
                queues::insert(&mut client, QUEUE, round * 10, 10);
                queues::tick(&mut client, QUEUE);
            }
            let mut seen: Vec<i64> =
                (0..100).map(|_| received.recv_timeout(Duration::from_secs(60)).expect("an event")).collect();
            for worker in &workers {
                worker.stop();
            }
            for worker in workers {
                worker.join().expect("stopped");
            }
            drop(out);
            assert!(received.recv().is_err());
            seen.sort_unstable();
            assert_eq!(seen, (0..100).collect::<Vec<i64>>(), "{pgq:?}");
        }
    }
}

#[test]
fn ticks_are_merged_for_each_of_them() {
    for pgq in Pgq::WHOLE {
        let (_database, mut client) = pgq.database();
        let (a, b) = (sub("a", |s| s.merge_events = 50), sub("b", |s| s.merge_events = 50));
        for subscription in [&a, &b] {
            subscription.register(&mut client).expect("registered");
        }
        for round in 0..30 {
            queues::insert(&mut client, QUEUE, round * 10, 10);
            queues::tick(&mut client, QUEUE);
        }
        let mut seen = Vec::new();
        let mut batches = 0;
        while seen.len() < 300 {
            let subscription = if batches % 2 == 0 { &a } else { &b };
            let batch = numbers(&mut client, subscription);
            assert!((50..=110).contains(&batch.len()) || seen.len() + batch.len() == 300, "{}", batch.len());
            seen.extend(batch);
            batches += 1;
        }
        assert_eq!(seen, (0..300).collect::<Vec<i64>>(), "{pgq:?}");
        let whole = sub("a", |_| ());
        for round in 0..30 {
            queues::insert(&mut client, QUEUE, round, 1);
            queues::tick(&mut client, QUEUE);
        }
        assert_eq!(numbers(&mut client, &whole).len(), 30, "all ticks up to the last one");
    }
}

#[test]
fn outcomes_belong_to_the_consumer_and_not_to_a_subconsumer() {
    for pgq in Pgq::WHOLE {
        let (_database, mut client) = pgq.database();
        let (a, b) = (sub("a", |_| ()), sub("b", |_| ()));
        for subscription in [&a, &b] {
            subscription.register(&mut client).expect("registered");
        }
        fill(&mut client, 3);
        let mut consumer = handler(|event, _| match number(event) {
            0 => Ok(Outcome::Retry(Duration::ZERO)),
            1 => Ok(Outcome::Failed("no".to_owned())),
            _ => Ok(Outcome::Done),
        });
        deliver(&mut client, &a, &mut consumer).expect("delivered");
        assert_eq!(return_retries(&mut client), 1);
        assert_eq!(take(&mut client, &b), [(0, 1)], "{pgq:?}");
        assert_eq!(failed(&mut client), [("event 1".to_owned(), "no".to_owned())]);
    }
}

#[test]
fn without_them_the_error_names_the_packages() {
    let (_database, mut client) = Pgq::Bare.database();
    let error = sub("a", |_| ()).register(&mut client).expect_err("there is no pgq_coop");
    assert!(error.kind() == pgq::ErrorKind::Missing && error.to_string().contains("pgqadm"), "{error}");
}

/// Greeters that share a consumer.
struct Team {
    database: Database,
    folder: TempDir,
}

impl Team {
    fn create(pgq: Pgq) -> (Team, Client) {
        let (database, mut client) = pgq.database();
        client.batch_execute("create table greeting (name text, greeter text)").expect("created");
        (Team { database, folder: tempfile::tempdir().expect("a temporary folder") }, client)
    }

    fn command(&self, name: &str, switches: &[&str]) -> std::process::Command {
        let ini = format!(
            "[team_greeter]\njob_name = {name}\ndb = {}\nqueue_name = {QUEUE}\nconsumer_name = {CONSUMER}\n\
             subconsumer_name = %(job_name)s\nloop_delay = 0.02\nexception_sleep = 0.02\n",
            self.database.conninfo()
        );
        let file = format!("{name}.ini");
        std::fs::write(self.folder.path().join(&file), ini).expect("writable");
        let mut command = command_on(self.database.server(), "team_greeter", self.folder.path());
        command.arg(file).args(switches);
        command
    }

    fn start(&self, name: &str) -> Running {
        Running::start(&mut self.command(name, &[]))
    }
}

/// Returns the greetings of one greeter, or all, in order.
fn greetings(client: &mut Client, greeter: &str) -> Vec<String> {
    let select = "select name from greeting where greeter like $1 order by substr(name, 7)::int";
    client.query(select, &[&greeter]).expect("readable").iter().map(|row| row.get(0)).collect()
}

fn names(from: i64, to: i64) -> Vec<String> {
    (from..to).map(|n| format!("event {n}")).collect()
}

pub(super) fn is_waiting(client: &mut Client, name: &str) -> bool {
    let waiting = "select count(*) > 0 from pg_stat_activity where datname = current_database() \
                   and application_name = $1 and wait_event_type = 'Lock'";
    client.query_one(waiting, &[&name]).expect("readable").get(0)
}

#[test]
fn the_batch_of_a_killed_process_is_taken_over_and_each_event_is_done_once() {
    for pgq in Pgq::WHOLE {
        let (team, mut client) = Team::create(pgq);
        let mut holder = team.database.client();
        for name in ["a", "b"] {
            succeed(&mut team.command(name, &["--register"]));
        }
        let mut hold = holder.transaction().expect("begin");
        hold.batch_execute("lock table greeting in exclusive mode").expect("locked");
        queues::insert(&mut client, QUEUE, 0, 10);
        queues::tick(&mut client, QUEUE);
        let mut a = team.start("a");
        wait_for("a to be amid its batch", || is_waiting(&mut client, "a"));
        a.signal(Signal::SIGKILL);
        a.wait();
        hold.rollback().expect("released");
        queues::insert(&mut client, QUEUE, 10, 10);
        queues::tick(&mut client, QUEUE);
        succeed(&mut team.command("b", &["--set", "loop_delay=0", "--set", "subconsumer_timeout=1 hour"]));
        assert_eq!(greetings(&mut client, "%"), names(10, 20), "a may still be alive");
        succeed(&mut team.command("b", &["--set", "loop_delay=0", "--set", "subconsumer_timeout=0"]));
        assert_eq!(greetings(&mut client, "b"), names(0, 20), "{pgq:?}");
        // It restarts and continues at the position of the others.
        queues::insert(&mut client, QUEUE, 20, 5);
        queues::tick(&mut client, QUEUE);
        succeed(&mut team.command("a", &["--set", "loop_delay=0"]));
        assert_eq!(greetings(&mut client, "a"), names(20, 25));
    }
}

/// The heartbeats of a process that works keep its batch, and end with the process.
#[test]
fn a_killed_process_loses_the_batch_that_its_heartbeats_have_kept() {
    for pgq in Pgq::WHOLE {
        let (team, mut client) = Team::create(pgq);
        let mut holder = team.database.client();
        for name in ["a", "b"] {
            succeed(&mut team.command(name, &["--register"]));
        }
        let mut hold = holder.transaction().expect("begin");
        hold.batch_execute("lock table greeting in exclusive mode").expect("locked");
        queues::insert(&mut client, QUEUE, 0, 10);
        queues::tick(&mut client, QUEUE);
        let mut a = Running::start(&mut team.command("a", &["--set", "subconsumer_timeout=0.6"]));
        wait_for("a to be amid its batch", || is_waiting(&mut client, "a"));
        client.batch_execute("update pgq.subscription set sub_active = '2000-01-01'").expect("set back");
        wait_for("a heartbeat", || {
            let active = "select count(*) > 0 from pgq.subscription where sub_batch is not null \
                          and sub_active > now() - interval '1 hour'";
            client.query_one(active, &[]).expect("readable").get(0)
        });
        a.signal(Signal::SIGKILL);
        a.wait();
        hold.rollback().expect("released");
        let _b = Running::start(&mut team.command("b", &["--set", "subconsumer_timeout=0.6"]));
        wait_for("all", || greetings(&mut client, "b") == names(0, 10));
        assert_eq!(greetings(&mut client, "%"), names(0, 10), "{pgq:?}");
    }
}

#[test]
fn a_subconsumer_considered_dead_does_nothing_twice() {
    let (team, mut client) = Team::create(Pgq::Own);
    let mut holder = team.database.client();
    for name in ["a", "b"] {
        succeed(&mut team.command(name, &["--register"]));
    }
    let mut hold = holder.transaction().expect("begin");
    hold.batch_execute("lock table greeting in exclusive mode").expect("locked");
    queues::insert(&mut client, QUEUE, 0, 10);
    queues::tick(&mut client, QUEUE);
    let _a = team.start("a");
    wait_for("a to be amid its batch", || is_waiting(&mut client, "a"));
    let _b = Running::start(&mut team.command("b", &["--set", "subconsumer_timeout=0"]));
    wait_for("b to be amid the same batch", || is_waiting(&mut client, "b"));
    hold.rollback().expect("released");
    wait_for("all", || greetings(&mut client, "%").len() >= 10);
    queues::insert(&mut client, QUEUE, 10, 1);
    queues::tick(&mut client, QUEUE);
    wait_for("the next event", || greetings(&mut client, "%").len() >= 11);
    assert_eq!(greetings(&mut client, "%"), names(0, 11));
}

#[test]
fn an_unregistered_subconsumer_leaves_its_batch_to_the_others() {
    for pgq in Pgq::WHOLE {
        let (team, mut client) = Team::create(pgq);
        for name in ["a", "b"] {
            let said = errors(&succeed(&mut team.command(name, &["--register"])));
            assert!(said.contains("registered"), "{said}");
        }
        queues::insert(&mut client, QUEUE, 0, 10);
        queues::tick(&mut client, QUEUE);
        let a = sub("a", |_| ());
        assert!(a.next_batch(&mut client).expect("answers").is_some());
        succeed(&mut team.command("a", &["--unregister"]));
        assert!(!a.is_registered(&mut client).expect("answers"));
        return_retries(&mut client);
        succeed(&mut team.command("b", &["--set", "loop_delay=0"]));
        assert_eq!(greetings(&mut client, "b"), names(0, 10), "{pgq:?}");
        succeed(&mut team.command("a", &["--unregister"]));
        succeed(&mut team.command("b", &["--unregister"]));
        let row =
            client.query_one("select count(*) from pgq.get_consumer_info($1, $2)", &[&QUEUE, &CONSUMER]);
        assert_eq!(row.expect("readable").get::<_, i64>(0), 1, "the consumer and its position stay");
    }
}

#[test]
fn the_former_owner_of_a_batch_does_not_finish_it_first() {
    for pgq in Pgq::WHOLE {
        for autocommit in [false, true] {
            let (database, mut client) = pgq.database();
            create_written(&mut client);
            let mut other = database.client();
            let a = sub("a", |s| s.autocommit = autocommit);
            let b = sub("b", |s| {
                s.autocommit = autocommit;
                s.subconsumer_timeout = Some(Duration::ZERO);
            });
            for subscription in [&a, &b] {
                subscription.register(&mut client).expect("registered");
            }
            fill(&mut client, 3);
            let mut first = open(&mut client, &a);
            let event = first.next_event().expect("readable").expect("an event");
            if !autocommit {
                write(&mut first, 0).expect("written");
            }
            first.fail(&event, "no");
            let second = open(&mut other, &b);
            assert_eq!(first.info(), second.info());
            let error = first.finish().expect_err("it is not its any more");
            assert!(error.to_string().contains("taken over"), "{error}");
            second.finish().expect("finished");
            assert!(written(&mut client).is_empty() && failed(&mut client).is_empty(), "{pgq:?}");
        }
    }
}

#[test]
fn no_process_takes_over_a_batch_that_is_being_finished() {
    let (database, mut client) = Pgq::Own.database();
    let (a, b) = (sub("a", |_| ()), sub("b", |s| s.subconsumer_timeout = Some(Duration::ZERO)));
    for subscription in [&a, &b] {
        subscription.register(&mut client).expect("registered");
    }
    fill(&mut client, 3);
    let mut other = database.client();
    let mut finishing = client.transaction().expect("begin");
    let lock = "select pg_advisory_xact_lock_shared(hashtextextended(format('pgq finish %L %L', $1::text, $2::text), 0))::text";
    finishing.query_one(lock, &[&QUEUE, &CONSUMER]).expect("locked");
    other.batch_execute("set lock_timeout = 50").expect("set");
    let error = b.next_batch(&mut other).expect_err("it has to wait");
    assert_eq!(error.sqlstate().map(|state| state.code()), Some("55P03"), "{error:?}");
}
