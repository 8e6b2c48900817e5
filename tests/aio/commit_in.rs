//! Batches that are finished in a transaction of the caller, on a connection of the caller.

use std::time::Duration;

use pgq::aio::{Batch, Batches, Worker};
use pgq::schema::Kind;
use pgq::{BoxError, Error, ErrorKind, Settings};
use postgres::error::SqlState;
use tokio_postgres::{Client, IsolationLevel, NoTls, Transaction};

use super::cancelled::polled;
use super::{
    CONSUMER, KINDS, QUEUE, TERMINATE, database, effects, execute, expected, insert, is_done, run, settings,
};
use crate::support::Database;

const EVENTS: i64 = 20;

async fn connect(conninfo: &str) -> Result<Client, BoxError> {
    let (client, connection) = tokio_postgres::connect(conninfo, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Opens the batches of a consumer, and a connection of the caller.
async fn open(conninfo: &str, settings: Settings) -> Result<(Batches, Client), BoxError> {
    Ok((Worker::with_settings(conninfo, settings).batches().await?, connect(conninfo).await?))
}

/// Writes what is left of a batch; retries the third event and gives up the fifth.
async fn write(batch: &mut Batch, transaction: &Transaction<'_>) -> Result<(), BoxError> {
    while let Some(event) = batch.next_event().await? {
        let insert = "insert into effect values ($1, $2)";
        match event.data() {
            Some("event 3") => batch.retry(&event, Duration::from_secs(7)),
            Some("event 5") => batch.fail(&event, "no five"),
            data => drop(transaction.execute(insert, &[&event.id(), &data]).await?),
        }
    }
    Ok(())
}

fn variants() -> [Settings; 3] {
    let mut paged = settings();
    paged.lazy_fetch = Some(6);
    let [plain, mut autocommit, mut member] = [paged.clone(), paged.clone(), paged];
    autocommit.autocommit = true;
    member.subconsumer = Some("first".to_owned());
    [plain, autocommit, member]
}

/// Requires that each event has its effect or its tag, once.
fn check_written(client: &mut postgres::Client, context: &str) {
    let mut events = expected(1, EVENTS);
    events.retain(|event| event != "event 3" && event != "event 5");
    assert_eq!(effects(client), events, "{context}");
    let query = "select (select string_agg(ev_data, ',') from pgq.retry_queue), \
         (select string_agg(ev_failed_reason, ',') from pgq.failed_queue), \
         not exists (select from pgq.subscription where sub_batch is not null)";
    let row = client.query_one(query, &[]).expect("readable");
    let facts: (Option<&str>, Option<&str>, bool) = (row.get(0), row.get(1), row.get(2));
    assert_eq!(facts, (Some("event 3"), Some("no five"), true), "{context}");
}

#[test]
fn effects_and_tags_are_committed_together_with_the_batch() {
    for kind in KINDS {
        for settings in variants() {
            let (database, mut client) = database(kind);
            let context = format!("{kind:?} {} {:?}", settings.autocommit, settings.subconsumer);
            if let Some(member) = &settings.subconsumer {
                pgq::admin::register_subconsumer(&mut client, QUEUE, CONSUMER, member).expect("registered");
            }
            insert(&mut client, 1, EVENTS);
            let conninfo = database.conninfo();
            run(async move {
                let (mut batches, mut caller) = open(&conninfo, settings).await?;
                let (mut dropped, transaction) = (batches.next().await?, caller.transaction().await?);
                write(&mut dropped, &transaction).await?;
                drop((dropped, transaction));
                let (mut batch, transaction) = (batches.next().await?, caller.transaction().await?);
                write(&mut batch, &transaction).await?;
                batch.commit_in(transaction).await?;
                assert!(batches.try_next().await?.is_none());
                Ok::<_, BoxError>(())
            })
            .expect("applied");
            check_written(&mut client, &context);
        }
    }
}

#[test]
fn a_future_that_is_dropped_at_any_poll_has_committed_all_or_nothing() {
    async fn apply(batches: &mut Batches, caller: &mut Client) -> Result<(), BoxError> {
        let Some(mut batch) = batches.try_next().await? else { return Ok(()) };
        let transaction = caller.transaction().await?;
        write(&mut batch, &transaction).await?;
        Ok(batch.commit_in(transaction).await?)
    }
    for (kind, settings) in KINDS.into_iter().zip(variants()) {
        let (database, mut client) = database(kind);
        insert(&mut client, 1, EVENTS);
        let conninfo = database.conninfo();
        let polls = run(async move {
            let (mut batches, mut caller) = open(&conninfo, settings).await?;
            for times in 1.. {
                if let Some(done) = polled(apply(&mut batches, &mut caller), times).await {
                    return done.map(|()| times);
                }
            }
            unreachable!("the batch ends at some time")
        });
        let polls = polls.expect("committed");
        assert!(polls > 5, "{polls} polls are too few to prove anything");
        check_written(&mut client, &format!("{kind:?}"));
    }
}

async fn begin(caller: &mut Client, level: IsolationLevel) -> Result<Transaction<'_>, BoxError> {
    let transaction = caller.build_transaction().isolation_level(level).start().await?;
    // The snapshot is made by the first statement.
    transaction.execute("select from effect", &[]).await?;
    Ok(transaction)
}

#[test]
fn a_snapshot_must_contain_the_opening_of_the_batch() {
    for kind in KINDS {
        for level in [IsolationLevel::RepeatableRead, IsolationLevel::Serializable] {
            let (database, mut client) = database(kind);
            insert(&mut client, 1, EVENTS);
            let conninfo = database.conninfo();
            run(async move {
                let (mut batches, mut caller) = open(&conninfo, settings()).await?;
                let transaction = begin(&mut caller, level).await?;
                let mut batch = batches.next().await?;
                while batch.next_event().await?.is_some() {}
                let error = batch.commit_in(transaction).await.expect_err("the snapshot is too old");
                assert_eq!(error.kind(), ErrorKind::Usage);
                assert!(error.to_string().contains("snapshot of the transaction is older"), "{error}");
                let (mut batch, transaction) = (batches.next().await?, begin(&mut caller, level).await?);
                write(&mut batch, &transaction).await?;
                Ok::<_, BoxError>(batch.commit_in(transaction).await?)
            })
            .expect("applied");
            check_written(&mut client, &format!("{kind:?}"));
        }
    }
}

#[test]
fn the_role_of_the_transaction_needs_the_rights_of_a_consumer() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        insert(&mut client, 1, EVENTS);
        let role = format!("caller_{}", database.name());
        let create = format!("create role {role} login; grant all on effect to {role}");
        client.batch_execute(&create).expect("created");
        let (conninfo, grant) = (database.conninfo(), format!("grant pgq_reader to {role}"));
        run(async move {
            let (mut batches, _) = open(&conninfo, settings()).await?;
            let mut caller = connect(&format!("{conninfo} user={role}")).await?;
            let (mut batch, transaction) = (batches.next().await?, caller.transaction().await?);
            while batch.next_event().await?.is_some() {}
            let refused = batch.commit_in(transaction).await.expect_err("refused");
            assert_eq!(refused.sqlstate(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{refused:?}");
            execute(&conninfo, &grant);
            let (mut batch, transaction) = (batches.next().await?, caller.transaction().await?);
            write(&mut batch, &transaction).await?;
            Ok::<_, BoxError>(batch.commit_in(transaction).await?)
        })
        .expect("applied");
        check_written(&mut client, &format!("{kind:?}"));
    }
}

/// Returns a database with an open batch, and a copy of the database.
fn copied() -> (Database, Database) {
    let (database, mut client) = database(KINDS[0]);
    insert(&mut client, 1, EVENTS);
    client.query("select pgq.next_batch($1, $2)", &[&QUEUE, &CONSUMER]).expect("opened");
    client.close().expect("closed");
    let copy = Database::copy(database.server(), database.name(), "aio");
    (database, copy)
}

#[test]
fn a_transaction_in_a_copy_of_the_database_is_refused() {
    let (database, copy) = copied();
    let (conninfo, other) = (database.conninfo(), copy.conninfo());
    run(async move {
        let (mut batches, mut caller) = open(&conninfo, settings()).await?;
        let (mut batch, mut other) = (batches.next().await?, connect(&other).await?);
        let transaction = other.transaction().await?;
        write(&mut batch, &transaction).await?;
        let error = batch.commit_in(transaction).await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().contains("in another database than the queue"), "{error}");
        let (mut batch, transaction) = (batches.next().await?, caller.transaction().await?);
        write(&mut batch, &transaction).await?;
        Ok::<_, BoxError>(batch.commit_in(transaction).await?)
    })
    .expect("applied");
    check_written(&mut database.client(), "the queue's database");
    let mut client = copy.client();
    assert_eq!(effects(&mut client), expected(1, 0));
    assert!(!is_done(&mut client));
}

#[test]
fn what_was_written_by_db_is_not_committed_by_another_transaction() {
    let (database, mut client) = database(KINDS[0]);
    insert(&mut client, 1, EVENTS);
    let conninfo = database.conninfo();
    let error = run(async move {
        let (mut batches, mut caller) = open(&conninfo, settings()).await?;
        let (mut batch, transaction) = (batches.next().await?, caller.transaction().await?);
        batch.db().await?.execute("insert into effect values (1, 'lost')", &[]).await?;
        Ok::<_, BoxError>(batch.commit_in(transaction).await.expect_err("refused"))
    });
    assert_eq!(error.expect("opened").kind(), ErrorKind::Misconfigured);
    assert_eq!(effects(&mut client), expected(1, 0));
}

/// Returns the error of a batch that is written and cannot be committed after a statement of another session.
fn refused(kind: Kind, settings: Settings, statement: &'static str) -> Error {
    let (database, mut client) = database(kind);
    insert(&mut client, 1, EVENTS);
    let conninfo = database.conninfo();
    let error = run(async move {
        let (mut batches, mut caller) = open(&conninfo, settings).await?;
        let (mut batch, transaction) = (batches.next().await?, caller.transaction().await?);
        write(&mut batch, &transaction).await?;
        execute(&conninfo, statement);
        Ok::<_, BoxError>(batch.commit_in(transaction).await.expect_err("refused"))
    });
    assert_eq!(effects(&mut client), expected(1, 0));
    error.expect("opened")
}

#[test]
fn a_batch_that_is_lost_is_not_committed() {
    for (kind, settings) in KINDS.into_iter().zip(variants()) {
        let gone =
            refused(kind, settings.clone(), "select pgq.finish_batch(sub_batch) from pgq.subscription");
        assert!(gone.to_string().contains("finished, moved or taken over"), "{gone}");
        let lost = refused(kind, settings, TERMINATE);
        assert!(lost.is_connection(), "{lost:?}");
    }
}

#[test]
fn a_schema_before_the_catalogue_is_refused() {
    let (database, mut client) = database(KINDS[0]);
    insert(&mut client, 1, EVENTS);
    let trap = "create schema hostile; create table hostile.trapped (id bigint); \
         create function hostile.same(a bigint, b bigint) returns boolean language sql as \
             'insert into hostile.trapped values (a) returning a operator(pg_catalog.=) b'; \
         create operator hostile.= (function = hostile.same, leftarg = bigint, rightarg = bigint)";
    client.batch_execute(trap).expect("created");
    let conninfo = database.conninfo();
    let error = run(async move {
        let (mut batches, mut caller) = open(&conninfo, settings()).await?;
        caller.batch_execute("set search_path = hostile, pg_catalog").await?;
        let (mut batch, transaction) = (batches.next().await?, caller.transaction().await?);
        while batch.next_event().await?.is_some() {}
        Ok::<_, BoxError>(batch.commit_in(transaction).await.expect_err("refused"))
    });
    let error = error.expect("opened");
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("schema `hostile` comes before `pg_catalog`"), "{error}");
    assert!(client.query("select from hostile.trapped", &[]).expect("readable").is_empty());
    assert!(!is_done(&mut client));
}
