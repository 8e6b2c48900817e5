//! The statements of a blocking consumer.

use std::time::Duration;

use pgq::{Batch, BoxError, Consumer, Worker};

use super::{CONSUMER, KINDS, MANY, PREPARED, QUEUE, REPLACE, SOME, Seen, backlog, settings};
use crate::support::pgbouncer::PgBouncer;
use crate::support::{queues, shared, wait_for};

/// The action of a handler in its session; the argument is the number of the event.
type Act = Box<dyn FnMut(&mut Batch<'_>, usize) -> Result<(), BoxError> + Send>;

struct Handler(Seen, Act);

impl Consumer for Handler {
    fn process_batch(&mut self, batch: &mut Batch<'_>) -> Result<(), BoxError> {
        while let Some(event) = batch.next_event()? {
            self.0.events.lock().expect("no panic").push(event.data().unwrap_or_default().to_owned());
            let number = self.0.events();
            (self.1)(batch, number)?;
        }
        Ok(())
    }
}

/// Consumes all batches, and returns when each has an end.
fn consume(
    conninfo: &str,
    autocommit: bool,
    client: &mut postgres::Client,
    seen: &Seen,
    act: impl FnMut(&mut Batch<'_>, usize) -> Result<(), BoxError> + Send + 'static,
) {
    let last: i64 = client.query_one("select max(tick_id) from pgq.tick", &[]).expect("readable").get(0);
    let worker =
        Worker::with_settings(conninfo, settings(autocommit)).hooks(std::sync::Arc::new(seen.clone()));
    let worker = worker.exception_sleep(Duration::from_millis(10));
    let worker = worker.spawn(Handler(seen.clone(), Box::new(act))).expect("up");
    wait_for("all batches", || queues::position(client, QUEUE, CONSUMER) == (last, None));
    worker.stop();
    worker.join().expect("stopped");
}

#[test]
fn a_consumer_prepares_the_statements_of_its_batches_and_replaces_them() {
    for kind in KINDS {
        let (database, mut client) = backlog(kind, MANY);
        let seen = Seen::default();
        let report = seen.clone();
        consume(&database.conninfo(), false, &mut client, &seen, move |batch, number| {
            if number == 50 || number == MANY as usize {
                report.add_prepared(&batch.db()?.query_typed_one(PREPARED, &[])?);
            }
            Ok(())
        });
        seen.assert_all_once(MANY);
        seen.assert_replaced();
    }
}

#[test]
fn a_handler_may_deallocate_them() {
    for kind in KINDS {
        for (autocommit, statement) in
            [(false, "deallocate all"), (true, "deallocate all"), (true, "discard all")]
        {
            let (database, mut client) = backlog(kind, SOME);
            let seen = Seen::default();
            let report = seen.clone();
            consume(&database.conninfo(), autocommit, &mut client, &seen, move |batch, number| {
                // Some batches leave the statements prepared, so that the next ones use them.
                if number % 10 == 0 {
                    match autocommit {
                        true => batch.client()?.batch_execute(statement)?,
                        false => batch.db()?.batch_execute(statement)?,
                    }
                }
                if number == 9 {
                    let row = match autocommit {
                        true => batch.client()?.query_typed_one(PREPARED, &[])?,
                        false => batch.db()?.query_typed_one(PREPARED, &[])?,
                    };
                    report.add_prepared(&row);
                }
                Ok(())
            });
            seen.assert_all_once(SOME);
            let prepared = seen.prepared();
            assert!(!prepared[0].0.is_empty(), "{autocommit} {statement}: nothing was prepared");
        }
    }
}

#[test]
fn a_handler_that_deallocates_them_in_each_batch_fails_none() {
    let (database, mut client) = backlog(KINDS[0], SOME);
    let seen = Seen::default();
    consume(&database.conninfo(), false, &mut client, &seen, |batch, _| {
        Ok(batch.db()?.batch_execute("deallocate all")?)
    });
    seen.assert_all_once(SOME);
}

#[test]
fn functions_may_be_replaced_during_a_run() {
    for kind in KINDS {
        let (database, mut client) = backlog(kind, SOME);
        let seen = Seen::default();
        let (report, mut other) = (seen.clone(), database.client());
        consume(&database.conninfo(), false, &mut client, &seen, move |batch, number| {
            match number {
                // At first the server plans for the given values.
                29 => report.add_prepared(&batch.db()?.query_typed_one(PREPARED, &[])?),
                30 => other.batch_execute(REPLACE)?,
                60 => report.add_prepared(&batch.db()?.query_typed_one(PREPARED, &[])?),
                _ => {}
            }
            Ok(())
        });
        seen.assert_all_once(SOME);
        let prepared = seen.prepared();
        assert!(prepared[0].1 > 0 && prepared[1].0.is_empty(), "{prepared:?}");
    }
}

#[test]
fn an_upgrade_of_the_schema_during_a_run_fails_no_round() {
    for kind in KINDS {
        let (database, mut client) = backlog(kind, SOME);
        let seen = Seen::default();
        let mut other = database.client();
        consume(&database.conninfo(), false, &mut client, &seen, move |_, number| {
            if number % 20 == 0 {
                queues::install_as(&mut other, kind);
            }
            Ok(())
        });
        seen.assert_all_once(SOME);
    }
}

#[test]
fn nothing_is_prepared_behind_a_pooler() {
    let (database, mut client) = backlog(KINDS[0], SOME);
    let bouncer = PgBouncer::start(shared(), 2);
    let seen = Seen::default();
    let report = seen.clone();
    let any = "select coalesce(string_agg(name, ','), ''), 0::int8 from pg_prepared_statements";
    consume(&bouncer.conninfo(database.name()), false, &mut client, &seen, move |batch, number| {
        if number % 10 == 0 {
            report.add_prepared(&batch.db()?.query_typed_one(any, &[])?);
        }
        Ok(())
    });
    seen.assert_all_once(SOME);
    let prepared = seen.prepared();
    assert!(prepared.len() == 6 && prepared.iter().all(|(names, _)| names.is_empty()), "{prepared:?}");
}
