//! Producers of other drivers than `postgres`: the same tests for each of them.

mod delayed;
mod diesel;
mod diesel_async;
mod refusals;
pub(crate) mod sqlx;
mod statement;
mod written;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use pgq::produce::InsertedOnce;
use pgq::{Error, NewEvent};

use crate::buffered::{KINDS, QUEUE, data, database, numbers};

/// A connection of a driver. Its transactions are those of the driver.
trait Driver {
    fn connect(conninfo: &str) -> Self;
    fn begin(&mut self);
    fn commit(&mut self);
    fn rollback(&mut self);
    /// Runs statements without values.
    fn run(&mut self, statements: &str);
    fn insert_event(&mut self, queue: &str, event_type: &str, data: &str) -> Result<i64, Error>;
    fn insert_new_event(&mut self, queue: &str, event: &NewEvent<'_>) -> Result<i64, Error>;
    fn bulk_insert(&mut self, queue: &str, events: &[NewEvent<'_>]) -> Result<u64, Error>;
    fn insert_event_once(
        &mut self,
        queue: &str,
        key: &str,
        event: &NewEvent<'_>,
    ) -> Result<InsertedOnce, Error>;
    /// Whether the driver reports every SQLSTATE.
    const HAS_SQLSTATES: bool;
}

fn events_belong_to_the_callers_transaction<D: Driver>() {
    for kind in KINDS {
        let (database, mut client) = database(kind, "driver");
        let mut driver = D::connect(&database.conninfo());
        driver.begin();
        driver.insert_event(QUEUE, "t", "lost").expect("inserted");
        driver.bulk_insert(QUEUE, &[NewEvent::new("t", "lost")]).expect("inserted");
        driver.rollback();
        driver.begin();
        let first = driver.insert_event(QUEUE, "t", "0").expect("inserted");
        let second = driver.insert_event(QUEUE, "t", "1").expect("inserted");
        assert!(second > first);
        driver.bulk_insert(QUEUE, &[NewEvent::new("t", "2")]).expect("inserted");
        assert_eq!(data(&mut client), numbers(0..0), "nothing is visible before the commit");
        driver.commit();
        driver.insert_event(QUEUE, "t", "3").expect("inserted");
        assert_eq!(driver.bulk_insert(QUEUE, &[NewEvent::new("t", "4")]).expect("inserted"), 1);
        assert_eq!(driver.bulk_insert(QUEUE, &[]).expect("nothing to do"), 0);
        assert_eq!(data(&mut client), numbers(0..5));
    }
}

/// Polls a future as often as said; `None`: it is not done, and dropped.
async fn poll_at_most<T>(future: impl Future<Output = T>, polls: usize) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => {
            left -= 1;
            if left == 0 { Poll::Ready(None) } else { Poll::Pending }
        }
    })
    .await
}

/// Makes the tests of a driver.
macro_rules! tests {
    ($driver:ty) => {
        #[test]
        fn events_belong_to_the_callers_transaction() {
            super::events_belong_to_the_callers_transaction::<$driver>();
        }

        #[test]
        fn all_columns_and_times_are_those_of_the_blocking_functions() {
            super::written::all_columns_and_times_are_those_of_the_blocking_functions::<$driver>();
        }

        #[test]
        fn a_consumer_reads_what_was_written_as_json_and_fields() {
            super::written::a_consumer_reads_what_was_written_as_json_and_fields::<$driver>();
        }

        #[test]
        fn delayed_events_and_events_once_are_those_of_the_blocking_functions() {
            super::delayed::delayed_events_and_events_once_are_those_of_the_blocking_functions::<$driver>();
        }

        #[test]
        fn refusals_are_those_of_the_blocking_functions() {
            super::refusals::refusals_are_those_of_the_blocking_functions::<$driver>();
        }

        #[test]
        fn an_insert_behind_a_rotation_fails() {
            super::refusals::an_insert_behind_a_rotation_fails::<$driver>();
        }

        #[test]
        fn what_the_server_refuses_leaves_the_connection_usable() {
            super::refusals::what_the_server_refuses_leaves_the_connection_usable::<$driver>();
        }

        #[test]
        fn a_role_without_rights_is_refused() {
            super::refusals::a_role_without_rights_is_refused::<$driver>();
        }

        #[test]
        fn a_terminated_session_is_a_connection_error() {
            super::refusals::a_terminated_session_is_a_connection_error::<$driver>();
        }
    };
}
use tests;
