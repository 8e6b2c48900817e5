//! Batches of many events where no transaction is open.

use pgq::aio::{Batch, Batches, Worker};
use pgq::schema::Kind;
use pgq::{BoxError, Settings};
use postgres::{Client, NoTls};

use super::{CONSUMER, KINDS, QUEUE, database, run, settings};
use crate::support::pgbouncer::PgBouncer;
use crate::support::{queues, wait_for};

/// More than one query for each page reads.
const MANY: i64 = 12_000;

fn autocommit(lazy_fetch: Option<u32>) -> Settings {
    let mut settings = settings();
    (settings.autocommit, settings.lazy_fetch) = (true, lazy_fetch);
    settings
}

async fn batches(conninfo: &str, lazy_fetch: Option<u32>) -> Result<Batches, BoxError> {
    Ok(Worker::with_settings(conninfo, autocommit(lazy_fetch)).batches().await?)
}

/// Reads so many events, or all.
async fn read(batch: &mut Batch, events: usize) -> Result<Vec<String>, BoxError> {
    let mut read = Vec::new();
    while read.len() < events {
        let Some(event) = batch.next_event().await? else { break };
        read.push(event.data().unwrap_or_default().to_owned());
    }
    Ok(read)
}

fn fill(client: &mut Client, events: i64) {
    let insert = "select count(pgq.insert_event($1, 'type', 'event ' || number)) from generate_series(1, $2::bigint) number";
    client.query(insert, &[&QUEUE, &events]).expect("inserted");
    queues::tick(client, QUEUE);
}

/// Returns the last statements of the consumer's sessions, and how many hold back the server's cleanup.
fn sessions(client: &mut Client) -> (String, i64) {
    let query = "select string_agg(query, '; '), count(backend_xmin) \
         from pg_stat_activity where application_name = $1 and datname = current_database()";
    let row = client.query_one(query, &[&CONSUMER]).expect("readable");
    (row.get(0), row.get(1))
}

/// Waits until none of the sessions holds back the server's cleanup, and returns their last statements.
fn statements_at_rest(client: &mut Client) -> String {
    let mut statements = String::new();
    wait_for("sessions without a snapshot", || {
        let (last, held) = sessions(client);
        statements = last;
        held == 0
    });
    statements
}

#[test]
fn the_server_sorts_a_large_batch_once_and_keeps_it_without_a_transaction() {
    for kind in KINDS {
        for size in [None, Some(7000)] {
            let (database, mut client) = database(kind);
            fill(&mut client, MANY);
            let conninfo = database.conninfo();
            let (first, statements, rest) = run(async move {
                let mut batches = batches(&conninfo, size).await?;
                let mut batch = batches.next().await?;
                let first = read(&mut batch, 5000).await?;
                let statements = tokio::task::spawn_blocking(move || statements_at_rest(&mut client)).await?;
                let rest = read(&mut batch, usize::MAX).await?;
                batch.commit().await?;
                Ok::<_, BoxError>((first, statements, rest))
            })
            .expect("read");
            assert!(statements.contains("pgq_kept_events"), "{kind:?} {size:?}: {statements}");
            assert_eq!([first, rest].concat(), super::expected(1, MANY), "{kind:?} {size:?}");
        }
    }
}

#[test]
fn a_large_batch_that_is_dropped_is_read_again_from_its_first_event() {
    let (database, mut client) = database(Kind::Own);
    fill(&mut client, MANY);
    let conninfo = database.conninfo();
    let read = run(async move {
        let mut batches = batches(&conninfo, Some(1000)).await?;
        for events in [0, 1, 1000, 1001, 11_999, 12_000] {
            assert_eq!(read(&mut batches.next().await?, events).await?.len(), events);
        }
        let mut batch = batches.next().await?;
        let read = read(&mut batch, usize::MAX).await?;
        batch.commit().await?;
        Ok::<_, BoxError>(read)
    });
    assert_eq!(read.expect("read"), super::expected(1, MANY));
}

#[test]
fn behind_a_pooler_nothing_is_kept() {
    let (database, mut client) = database(Kind::Own);
    fill(&mut client, MANY);
    let bouncer = PgBouncer::start(database.server(), 2);
    let conninfo = bouncer.conninfo(database.name());
    let (first, kept, rest) = run(async move {
        let mut batches = batches(&conninfo, Some(5000)).await?;
        let mut batch = batches.next().await?;
        let first = read(&mut batch, 5000).await?;
        let kept = tokio::task::spawn_blocking(move || sessions(&mut client)).await?;
        let rest = read(&mut batch, usize::MAX).await?;
        batch.commit().await?;
        Ok::<_, BoxError>((first, kept, rest))
    })
    .expect("read");
    assert!(!kept.0.contains("pgq_kept_events"), "{kept:?}");
    assert_eq!([first, rest].concat(), super::expected(1, MANY));
}

/// Reads a batch; returns its events, and the last statements of the consumer's sessions after the first event.
async fn read_and_look(conninfo: String) -> Result<(Vec<String>, String), BoxError> {
    let mut batches = batches(&conninfo, Some(7000)).await?;
    let mut batch = batches.next().await?;
    let mut all = read(&mut batch, 1).await?;
    let look = move || Ok::<_, BoxError>(sessions(&mut Client::connect(&conninfo, NoTls)?).0);
    let seen = tokio::task::spawn_blocking(look).await??;
    all.extend(read(&mut batch, usize::MAX).await?);
    batch.commit().await?;
    Ok((all, seen))
}

#[test]
fn a_role_without_the_disk_to_keep_a_batch_reads_it_by_queries() {
    let (database, mut client) = database(Kind::Own);
    fill(&mut client, MANY);
    // The least that is enough to sort the batch is not enough to keep it besides. It differs between versions.
    let (read, seen) = (600..3000)
        .step_by(100)
        .find_map(|limit| {
            let name = database.name();
            let limit = format!("alter database {name} set temp_file_limit = '{limit}kB'");
            let limited =
                client.batch_execute(&format!("alter database {name} set work_mem = '64kB'; {limit}"));
            limited.expect("limited");
            run(read_and_look(database.conninfo())).ok()
        })
        .expect("a limit is enough");
    assert!(!seen.contains("pgq_kept_events"), "{seen}");
    assert_eq!(read, super::expected(1, MANY));
}

#[test]
fn handlers_write_while_the_next_pages_arrive() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        // More than the driver and the system hold back of an answer that nobody reads.
        let insert = "select count(pgq.insert_event($1, 'type', repeat('x', 10000) || number)) \
             from generate_series(1, 1000) number";
        client.query(insert, &[&QUEUE]).expect("inserted");
        queues::tick(&mut client, QUEUE);
        let conninfo = database.conninfo();
        let written = run(async move {
            let mut batches = Worker::with_settings(&conninfo, settings()).batches().await?;
            let mut batch = batches.next().await?;
            while let Some(event) = batch.next_event().await? {
                batch.db().await?.execute("insert into effect (event) values ($1)", &[&event.id()]).await?;
            }
            batch.commit().await?;
            Ok::<_, BoxError>(())
        });
        written.expect("committed");
        assert_eq!(client.query("select from effect", &[]).expect("readable").len(), 1000, "{kind:?}");
    }
}
