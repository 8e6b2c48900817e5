//! Producers and consumers on `sqlx`.

mod consumer;

use std::future::Future;

use pgq::produce::InsertedOnce;
use pgq::{Error, NewEvent};
use postgres::config::Host;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{Connection, Executor, PgConnection, PgPool, Postgres, Transaction};
use tokio::runtime::{Builder, Runtime};

use super::{Driver, poll_at_most, tests};
use crate::buffered::{QUEUE, data, numbers};
use crate::support::queues;

tests!(Sqlx);

struct Sqlx {
    runtime: Runtime,
    pool: PgPool,
    transaction: Option<Transaction<'static, Postgres>>,
}

pub(crate) fn options(conninfo: &str) -> PgConnectOptions {
    let config: postgres::Config = conninfo.parse().expect("a connection string");
    let Some(Host::Unix(socket)) = config.get_hosts().first() else { panic!("a socket") };
    PgConnectOptions::new_without_pgpass()
        .socket(socket)
        .port(config.get_ports()[0])
        .username(config.get_user().expect("a user"))
        .database(config.get_dbname().expect("a database"))
        .ssl_mode(PgSslMode::Disable)
}

impl Sqlx {
    /// Calls a producer whose future may be sent to other threads, on the connection of the transaction or of the pool.
    fn call<T: Send>(
        &mut self,
        call: impl AsyncFnOnce(&mut PgConnection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let Sqlx { runtime, pool, transaction } = self;
        runtime.block_on(async {
            match transaction {
                Some(transaction) => call(&mut *transaction).await,
                None => call(&mut *pool.acquire().await.expect("connected")).await,
            }
        })
    }
}

impl Drop for Sqlx {
    fn drop(&mut self) {
        // A connection returns to its pool in a task.
        let _runtime = self.runtime.enter();
        self.transaction = None;
    }
}

/// Requires that a future may be sent to other threads.
fn sent<F: Future + Send>(future: F) -> F {
    future
}

impl Driver for Sqlx {
    const HAS_SQLSTATES: bool = true;

    fn connect(conninfo: &str) -> Sqlx {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a thread");
        let pool = PgPoolOptions::new().max_connections(1).connect_with(options(conninfo));
        let pool = runtime.block_on(pool).expect("connected");
        Sqlx { runtime, pool, transaction: None }
    }

    fn begin(&mut self) {
        self.transaction = Some(self.runtime.block_on(self.pool.begin()).expect("begun"));
    }

    fn commit(&mut self) {
        let transaction = self.transaction.take().expect("begun");
        self.runtime.block_on(transaction.commit()).expect("committed");
    }

    fn rollback(&mut self) {
        let transaction = self.transaction.take().expect("begun");
        self.runtime.block_on(transaction.rollback()).expect("rolled back");
    }

    fn run(&mut self, statements: &str) {
        let transaction = self.transaction.as_mut().expect("begun");
        let statements = sqlx::AssertSqlSafe(statements.to_owned());
        self.runtime.block_on(transaction.execute(sqlx::raw_sql(statements))).expect("done");
    }

    fn insert_event(&mut self, queue: &str, event_type: &str, data: &str) -> Result<i64, Error> {
        self.call(async |connection| sent(pgq::sqlx::insert_event(connection, queue, event_type, data)).await)
    }

    fn insert_new_event(&mut self, queue: &str, event: &NewEvent<'_>) -> Result<i64, Error> {
        self.call(async |connection| sent(pgq::sqlx::insert_new_event(connection, queue, event)).await)
    }

    fn insert_event_once(
        &mut self,
        queue: &str,
        key: &str,
        event: &NewEvent<'_>,
    ) -> Result<InsertedOnce, Error> {
        let insert = async |connection: &mut _| {
            sent(pgq::sqlx::insert_event_once(
                connection,
                queue,
                key,
                std::time::Duration::from_secs(86_400),
                event,
            ))
            .await
        };
        self.call(insert)
    }

    fn bulk_insert(&mut self, queue: &str, events: &[NewEvent<'_>]) -> Result<u64, Error> {
        let events = events.to_vec();
        self.call(async |connection| sent(pgq::sqlx::bulk_insert(connection, queue, events)).await)
    }
}

/// A bulk insert is dropped at its n-th poll. After a rollback nothing is left of it, and the connection is usable.
#[test]
fn a_cancelled_bulk_insert_is_rolled_back() {
    let (database, mut client) = queues::database("driver", QUEUE);
    let runtime = Builder::new_current_thread().enable_all().build().expect("a thread");
    let mut cancelled = 0;
    runtime.block_on(async {
        let mut connection =
            PgConnection::connect_with(&options(&database.conninfo())).await.expect("connected");
        for polls in 1.. {
            let mut transaction = connection.begin().await.expect("begun");
            let events: Vec<NewEvent<'_>> = (0..9000).map(|_| NewEvent::new("t", "lost")).collect();
            let insert = pgq::sqlx::bulk_insert(&mut transaction, QUEUE, events);
            let done = poll_at_most(insert, polls).await;
            transaction.rollback().await.expect("rolled back");
            if done.is_some() {
                break;
            }
            let n = cancelled.to_string();
            pgq::sqlx::insert_event(&mut connection, QUEUE, "t", &n).await.expect("inserted");
            cancelled += 1;
        }
    });
    assert!(cancelled > 0, "{cancelled}");
    assert_eq!(data(&mut client), numbers(0..cancelled));
}
