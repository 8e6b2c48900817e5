//! Producers on `diesel`.

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::{Connection, PgConnection};
use pgq::produce::InsertedOnce;
use pgq::{Error, NewEvent};

use super::{Driver, tests};

tests!(Diesel);

struct Diesel(PgConnection);

impl Driver for Diesel {
    const HAS_SQLSTATES: bool = false;

    fn connect(conninfo: &str) -> Diesel {
        Diesel(PgConnection::establish(conninfo).expect("connected"))
    }

    fn begin(&mut self) {
        AnsiTransactionManager::begin_transaction(&mut self.0).expect("begun");
    }

    fn commit(&mut self) {
        AnsiTransactionManager::commit_transaction(&mut self.0).expect("committed");
    }

    fn rollback(&mut self) {
        AnsiTransactionManager::rollback_transaction(&mut self.0).expect("rolled back");
    }

    fn run(&mut self, statements: &str) {
        self.0.batch_execute(statements).expect("done");
    }

    fn insert_event(&mut self, queue: &str, event_type: &str, data: &str) -> Result<i64, Error> {
        pgq::diesel::insert_event(&mut self.0, queue, event_type, data)
    }

    fn insert_new_event(&mut self, queue: &str, event: &NewEvent<'_>) -> Result<i64, Error> {
        pgq::diesel::insert_new_event(&mut self.0, queue, event)
    }

    fn insert_event_once(
        &mut self,
        queue: &str,
        key: &str,
        event: &NewEvent<'_>,
    ) -> Result<InsertedOnce, Error> {
        pgq::diesel::insert_event_once(&mut self.0, queue, key, std::time::Duration::from_secs(86_400), event)
    }

    fn bulk_insert(&mut self, queue: &str, events: &[NewEvent<'_>]) -> Result<u64, Error> {
        pgq::diesel::bulk_insert(&mut self.0, queue, events.to_vec())
    }
}
