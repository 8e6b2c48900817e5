//! Producers on `diesel-async`.

use std::future::Future;

use diesel_async::{
    AnsiTransactionManager, AsyncConnection, AsyncPgConnection, SimpleAsyncConnection, TransactionManager,
};
use pgq::produce::InsertedOnce;
use pgq::{Error, NewEvent};
use tokio::runtime::{Builder, Runtime};

use super::{Driver, poll_at_most, tests};
use crate::buffered::{QUEUE, data, numbers};
use crate::support::queues;

tests!(DieselAsync);

struct DieselAsync {
    connection: AsyncPgConnection,
    runtime: Runtime,
}

/// Requires that a future may be sent to other threads.
fn sent<F: Future + Send>(future: F) -> F {
    future
}

impl Driver for DieselAsync {
    const HAS_SQLSTATES: bool = false;

    fn connect(conninfo: &str) -> DieselAsync {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a thread");
        let connection = runtime.block_on(AsyncPgConnection::establish(conninfo)).expect("connected");
        DieselAsync { connection, runtime }
    }

    fn begin(&mut self) {
        let begin = AnsiTransactionManager::begin_transaction(&mut self.connection);
        self.runtime.block_on(begin).expect("begun");
    }

    fn commit(&mut self) {
        let commit = AnsiTransactionManager::commit_transaction(&mut self.connection);
        self.runtime.block_on(commit).expect("committed");
    }

    fn rollback(&mut self) {
        let rollback = AnsiTransactionManager::rollback_transaction(&mut self.connection);
        self.runtime.block_on(rollback).expect("rolled back");
    }

    fn run(&mut self, statements: &str) {
        self.runtime.block_on(self.connection.batch_execute(statements)).expect("done");
    }

    fn insert_event(&mut self, queue: &str, event_type: &str, data: &str) -> Result<i64, Error> {
        let insert = pgq::diesel_async::insert_event(&mut self.connection, queue, event_type, data);
        self.runtime.block_on(sent(insert))
    }

    fn insert_new_event(&mut self, queue: &str, event: &NewEvent<'_>) -> Result<i64, Error> {
        let insert = pgq::diesel_async::insert_new_event(&mut self.connection, queue, event);
        self.runtime.block_on(sent(insert))
    }

    fn insert_event_once(
        &mut self,
        queue: &str,
        key: &str,
        event: &NewEvent<'_>,
    ) -> Result<InsertedOnce, Error> {
        let insert = pgq::diesel_async::insert_event_once(
            &mut self.connection,
            queue,
            key,
            std::time::Duration::from_secs(86_400),
            event,
        );
        self.runtime.block_on(sent(insert))
    }

    fn bulk_insert(&mut self, queue: &str, events: &[NewEvent<'_>]) -> Result<u64, Error> {
        let insert = pgq::diesel_async::bulk_insert(&mut self.connection, queue, events.to_vec());
        self.runtime.block_on(sent(insert))
    }
}

/// A bulk insert is dropped at its n-th poll. After a rollback nothing is left of it, and the connection is usable.
#[test]
fn a_cancelled_bulk_insert_is_rolled_back() {
    let (database, mut client) = queues::database("driver", QUEUE);
    let mut driver = DieselAsync::connect(&database.conninfo());
    let mut cancelled = 0;
    for polls in 1.. {
        driver.begin();
        let events: Vec<NewEvent<'_>> = (0..9000).map(|_| NewEvent::new("t", "lost")).collect();
        let insert = pgq::diesel_async::bulk_insert(&mut driver.connection, QUEUE, events);
        let done = driver.runtime.block_on(poll_at_most(insert, polls));
        driver.rollback();
        if done.is_some() {
            break;
        }
        driver.insert_event(QUEUE, "t", &cancelled.to_string()).expect("inserted");
        cancelled += 1;
    }
    assert!(cancelled > 3, "{cancelled}");
    assert_eq!(data(&mut client), numbers(0..cancelled));
}
