//! Consumers wake up when there is a tick.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use pgq::{Batch, BoxError, Consumer, Event, Outcome, Settings, Ticker, TickerHandle, Worker, WorkerHandle};
use postgres::Client;

use super::*;
use crate::support::{Database, queues, templates};

const HOUR: Duration = Duration::from_secs(3600);
const LIMIT: Duration = Duration::from_secs(60);

struct Reporter(Sender<String>);

impl Consumer for Reporter {
    fn process_event(&mut self, event: &Event, _batch: &mut Batch<'_>) -> Result<Outcome, BoxError> {
        self.0.send(event.data().unwrap_or_default().to_owned())?;
        Ok(Outcome::Done)
    }
}

/// A consumer that would check for batches once an hour.
fn consumer(database: &Database, settings: Settings) -> (WorkerHandle, Receiver<String>) {
    let (out, received) = channel();
    let worker = Worker::with_settings(&database.conninfo(), settings).loop_delay(HOUR);
    (worker.spawn(Reporter(out)).expect("up"), received)
}

fn ticker(database: &Database) -> TickerHandle {
    Ticker::new(&database.conninfo()).loop_delay(Duration::from_millis(20)).spawn().expect("up")
}

fn database(queue: &str) -> (Database, Client) {
    let (database, mut client) = templates::prepared("wakeup");
    create(&mut client, queue, ["1", "0", "1 day"]);
    (database, client)
}

fn is_listening(client: &mut Client) -> bool {
    let select = "select count(*) > 0 from pg_stat_activity \
                  where datname = current_database() and query ilike 'listen%'";
    client.query_one(select, &[]).expect("readable").get(0)
}

/// Queues of every length of name.
#[test]
fn a_consumer_that_sleeps_for_an_hour_gets_events_at_once() {
    for queue in ["q".to_owned(), queues::UNUSUAL.to_owned(), "x".repeat(59), "ü".repeat(30), "x".repeat(300)]
    {
        let (database, mut client) = database(&queue);
        let _ticker = ticker(&database);
        let (consumer, received) = consumer(&database, Settings::new(&queue, "c"));
        for n in 0..5 {
            queues::insert(&mut client, &queue, n, 1);
            assert_eq!(received.recv_timeout(LIMIT), Ok(format!("event {n}")), "{queue}");
        }
        drop(consumer);
    }
}

#[test]
fn one_that_does_not_listen_has_no_connection_for_it() {
    let (database, mut client) = database("q");
    let mut settings = Settings::new("q", "c");
    settings.listen = false;
    let (consumer, received) = consumer(&database, settings);
    wait_for("its first round", || consumer.totals().rounds > 0);
    queues::insert(&mut client, "q", 0, 1);
    let ticker = ticker(&database);
    wait_for("the tick", || ticker.state().status().ticks > 0);
    drop(ticker);
    assert!(!is_listening(&mut client));
    assert_eq!(consumer.totals().rounds, 1);
    assert!(received.try_recv().is_err());
}

#[test]
fn the_key_turns_it_off() {
    let (database, mut client) = database("q");
    for (line, expected) in [("listen = 0", false), ("pgq_listen = 0", false), ("", true)] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ini = format!(
            "[greeter]\ndb = {}\nqueue_name = q\nloop_delay = 0.02\nlogfile = log\n{line}\n",
            database.conninfo()
        );
        fs::write(folder.path().join("x.ini"), ini).expect("writable");
        client.batch_execute("create table if not exists greeting (name text)").expect("created");
        let mut greeter =
            Running::start(command_on(shared(), "greeter", folder.path()).args(["x.ini", "-v"]));
        wait_for("the greeter to be up", || {
            fs::read_to_string(folder.path().join("log")).is_ok_and(|log| log.contains("consuming queue"))
        });
        if expected {
            wait_for("the greeter to listen", || is_listening(&mut client));
        } else {
            wait_for("a few rounds", || {
                let rounds = "select count(*) > 0 from pg_stat_activity where datname = current_database() \
                              and query like '%next_batch%' and state = 'idle'";
                client.query_one(rounds, &[]).expect("readable").get(0)
            });
            assert!(!is_listening(&mut client));
        }
        greeter.kill();
        wait_for("its sessions to end", || {
            let others = "select count(*) from pg_stat_activity \
                          where datname = current_database() and pid <> pg_backend_pid()";
            client.query_one(others, &[]).expect("readable").get::<_, i64>(0) == 0
        });
    }
}

#[test]
fn ticks_do_not_wait_for_a_notification_that_waits() {
    let server = Server::builder()
        .setting("synchronous_standby_names", "nobody")
        .setting("synchronous_commit", "local")
        .start()
        .unwrap_or_else(|error| panic!("{error}"));
    let mut client = server.client("postgres");
    queues::install(&mut client);
    create_eager(&mut client, "q");
    let ticker = Ticker::new(&server.conninfo("postgres")).spawn().expect("up");
    wait_for_ticks(&mut client, "q", 2);
    // Its commit waits for a standby that does not exist, and delays the notifications of all sessions.
    let mut waiting = server.client("postgres");
    let token = waiting.cancel_token();
    let notify = "set synchronous_commit = on; create table waiting (); notify x";
    let waiting = std::thread::spawn(move || waiting.batch_execute(notify));
    wait_for("a commit that waits", || {
        let select = "select count(*) > 0 from pg_stat_activity where wait_event = 'SyncRep'";
        client.query_one(select, &[]).expect("readable").get(0)
    });
    wait_for_ticks(&mut client, "q", 3);
    assert_eq!(ticker.state().status().failing_queues, Vec::<String>::new());
    token.cancel_query(postgres::NoTls).expect("cancelled");
    waiting.join().expect("no panic").expect("committed, with a warning");
}
