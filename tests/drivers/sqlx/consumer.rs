//! Consumers whose effects are committed together with the batch, in transactions of `sqlx`.

use std::time::Duration;

use nix::sys::signal::Signal;
use pgq::aio::{Batches, Worker};
use pgq::schema::Kind;
use pgq::sqlx::{Consumer, Transactional};
use pgq::{BoxError, Event, Outcome, RetryPolicy};
use postgres::Client;
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgConnection, PgPool};

use super::options;
use crate::aio::cancelled::polled;
use crate::aio::{
    CONSUMER, KINDS, QUEUE, Running, database, effects, expected, insert, is_done, run, settings,
};
use crate::support::programs::{self, command_on};
use crate::support::{Database, queues, templates, wait_for};

fn pool(conninfo: &str) -> PgPool {
    PgPoolOptions::new().max_connections(1).connect_lazy_with(options(conninfo))
}

async fn write(event: &Event, tx: &mut PgConnection) -> Result<(), BoxError> {
    let insert = sqlx::query("insert into effect values ($1, $2)").bind(event.id()).bind(event.data());
    Ok(insert.execute(tx).await.map(|_| ())?)
}

/// Writes each event; the first time, one in ten fails behind its write.
struct Applied;

impl Consumer for Applied {
    async fn process_event(&mut self, event: &Event, tx: &mut PgConnection) -> Result<Outcome, BoxError> {
        write(event, tx).await?;
        match (event.retry() == 0, event.id() % 40) {
            (true, 0) => Err("an error".into()),
            (true, 10) => panic!("a panic"),
            (true, 20) => Ok(sqlx::query("select 1/0").execute(tx).await.map(|_| Outcome::Done)?),
            (true, 30) => {
                sqlx::query("delete from effect where event = $1").bind(event.id()).execute(tx).await?;
                Ok(Outcome::Retry(Duration::ZERO))
            }
            _ => Ok(Outcome::Done),
        }
    }
}

#[test]
fn each_event_has_its_effect_once_also_when_handlers_fail() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        insert(&mut client, 1, 100);
        let worker = Worker::with_settings(&database.conninfo(), settings());
        let worker = worker.retry(RetryPolicy::fixed(Duration::ZERO));
        let running = Running::within(|| Transactional::new(pool(&database.conninfo()), Applied), worker);
        wait_for("the end of all events", || {
            client.execute("select pgq.maint_retry_events()", &[]).expect("maintained");
            queues::tick(&mut client, QUEUE);
            effects(&mut client).len() >= 100
        });
        wait_for("the last tick", || is_done(&mut client));
        running.end().expect("stopped");
        let mut written = effects(&mut client);
        written.sort_by_key(|data| data[6..].parse::<u32>().expect("a number"));
        assert_eq!(written, expected(1, 100), "{kind:?}");
    }
}

/// Applies the next batch; retries the events of one digit, and gives up the others that end in 5.
async fn apply(batches: &mut Batches, pool: &PgPool) -> Result<(), BoxError> {
    let Some(mut batch) = batches.try_next().await? else { return Ok(()) };
    let mut tx = pool.begin().await?;
    while let Some(event) = batch.next_event().await? {
        let number = event.data().unwrap_or_default().trim_start_matches("event ");
        match (number.len(), number.ends_with('5')) {
            (1, _) => batch.retry(&event, Duration::from_secs(7)),
            (_, true) => batch.fail(&event, format!("no {number}")),
            _ => write(&event, &mut tx).await?,
        }
    }
    Ok(batch.commit_in(tx).await?)
}

const FACTS: &str = "select (select count(*) from effect), (select count(*) from pgq.retry_queue), \
     (select string_agg(ev_failed_reason, ',' order by ev_id) from pgq.failed_queue)";

#[test]
fn a_commit_that_is_dropped_at_any_poll_has_committed_all_or_nothing() {
    for (kind, autocommit) in KINDS.into_iter().zip([false, true]) {
        let (database, mut client) = database(kind);
        insert(&mut client, 1, 30);
        let conninfo = database.conninfo();
        let mut settings = settings();
        (settings.autocommit, settings.lazy_fetch) = (autocommit, Some(9));
        let polls = run(async move {
            let mut batches = Worker::with_settings(&conninfo, settings).batches().await?;
            let pool = pool(&conninfo);
            for times in 1.. {
                if let Some(done) = polled(apply(&mut batches, &pool), times).await {
                    return done.map(|()| times);
                }
            }
            unreachable!("the batch ends at some time")
        });
        let polls = polls.expect("committed");
        assert!(polls > 5, "{polls} polls are too few to prove anything");
        let row = client.query_one(FACTS, &[]).expect("readable");
        let facts: (i64, i64, Option<&str>) = (row.get(0), row.get(1), row.get(2));
        assert_eq!(facts, (19, 9, Some("no 15,no 25")), "{kind:?}");
    }
}

#[test]
fn with_nothing_but_the_extension_retries_are_tagged_one_by_one() {
    let (database, mut client) = templates::bare("aio");
    queues::create(&mut client, QUEUE);
    pgq::admin::register_consumer(&mut client, QUEUE, CONSUMER).expect("registered");
    client.batch_execute("create table effect (event bigint, data text)").expect("created");
    insert(&mut client, 1, 4);
    let conninfo = database.conninfo();
    run(async move {
        let mut batches = Worker::with_settings(&conninfo, settings()).batches().await?;
        apply(&mut batches, &pool(&conninfo)).await
    })
    .expect("committed");
    let retried: i64 =
        client.query_one("select count(*) from pgq.retry_queue", &[]).expect("readable").get(0);
    assert_eq!(retried, 4);
    assert_eq!(effects(&mut client), expected(1, 0));
}

fn start(database: &Database) -> programs::Running {
    let server = database.server();
    let mut command = command_on(server, "sqlx_effects", server.dir());
    command.arg(server.socket_dir()).arg(server.port().to_string()).arg(database.name());
    programs::Running::start(&mut command)
}

/// Kills the program while it waits for a lock: of the table of effects, or of the positions.
fn kill_at(kind: Kind, client: &mut Client, database: &Database, table: &str) {
    let mut other = database.client();
    let mut holder = other.transaction().expect("begun");
    holder.batch_execute(&format!("lock table {table} in exclusive mode")).expect("locked");
    let mut program = start(database);
    wait_for("the program to wait for the lock", || {
        let waiting = "select exists (select from pg_stat_activity where datname = current_database() \
             and wait_event_type = 'Lock')";
        client.query_one(waiting, &[]).expect("readable").get(0)
    });
    program.signal(Signal::SIGKILL);
    program.wait();
    holder.rollback().expect("released");
    wait_for("the sessions to end", || {
        let others = "select count(*) = 0 from pg_stat_activity where datname = current_database() \
             and pid <> pg_backend_pid() and pid <> $1";
        let pid: i32 = other.query_one("select pg_backend_pid()", &[]).expect("readable").get(0);
        client.query_one(others, &[&pid]).expect("readable").get(0)
    });
    assert_eq!(effects(client), expected(1, 0), "{kind:?} {table}");
}

#[test]
fn a_killed_process_loses_and_doubles_nothing() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        insert(&mut client, 1, 500);
        kill_at(kind, &mut client, &database, "effect");
        kill_at(kind, &mut client, &database, "pgq.subscription");
        let mut program = start(&database);
        wait_for("all events", || is_done(&mut client));
        program.kill();
        assert_eq!(effects(&mut client), expected(1, 500), "{kind:?}");
    }
}
