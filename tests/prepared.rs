//! Statements of consumers and tickers that stay prepared in a session that is theirs alone.

mod asynchronous;
mod blocking;
mod ticker;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use pgq::Settings;
use postgres::Client;

use crate::support::{Database, queues, templates};
use pgq::schema::Kind;

const QUEUE: &str = "orders";
const CONSUMER: &str = "billing";
const KINDS: [Kind; 2] = [Kind::Own, Kind::Extension];

/// More batches than a prepared statement is used for.
const MANY: i64 = 1_100;
const SOME: i64 = 60;

/// The prepared statements of a session: their names, and how often the server has used a plan for any values.
const PREPARED: &str = "select coalesce(pg_catalog.string_agg(name, ',' order by name), ''), \
         coalesce(pg_catalog.sum(generic_plans), 0)::pg_catalog.int8 from pg_catalog.pg_prepared_statements \
     where statement ~ 'next_batch_custom|batch_event_sql|finish_batch'";

/// Replaces a function of the schema by one whose result has another type, so that the plans of its callers cannot be used
/// any more.
const REPLACE: &str = "alter function pgq.batch_event_sql(bigint) rename to batch_event_sql_before; \
     create function pgq.batch_event_sql(bigint) returns varchar language sql \
     as 'select pgq.batch_event_sql_before($1)::varchar'";

/// Returns a database whose queue has so many batches of an event each for the consumer.
fn backlog(kind: Kind, batches: i64) -> (Database, Client) {
    let (database, mut client) = templates::installed(kind, "prepared");
    queues::create(&mut client, QUEUE);
    pgq::admin::register_consumer(&mut client, QUEUE, CONSUMER).expect("registered");
    for batch in 0..batches {
        queues::insert(&mut client, QUEUE, batch, 1);
        queues::tick(&mut client, QUEUE);
    }
    (database, client)
}

/// Returns the settings of a consumer that takes tick by tick.
fn settings(autocommit: bool) -> Settings {
    let mut settings = Settings::new(QUEUE, CONSUMER);
    (settings.merge_events, settings.autocommit) = (0, autocommit);
    settings
}

/// The progress of a consumer.
#[derive(Clone, Default)]
struct Seen {
    events: Arc<Mutex<Vec<String>>>,
    failed_rounds: Arc<AtomicUsize>,
    /// The names and the uses of the prepared statements, at some batches.
    prepared: Arc<Mutex<Vec<(String, i64)>>>,
}

impl Seen {
    fn events(&self) -> usize {
        self.events.lock().expect("no panic").len()
    }

    fn add_prepared(&self, row: &postgres::Row) {
        self.prepared.lock().expect("no panic").push((row.get(0), row.get(1)));
    }

    fn prepared(&self) -> Vec<(String, i64)> {
        self.prepared.lock().expect("no panic").clone()
    }

    /// Fails unless each event was handled once and no round failed.
    #[track_caller]
    fn assert_all_once(&self, count: i64) {
        let expected: Vec<String> = (0..count).map(|number| format!("event {number}")).collect();
        assert_eq!(*self.events.lock().expect("no panic"), expected);
        assert_eq!(self.failed_rounds.load(Ordering::Relaxed), 0);
    }

    /// Fails unless the statements of a batch were prepared, with plans for any values, and later replaced by as many.
    #[track_caller]
    fn assert_replaced(&self) {
        let prepared = self.prepared();
        let [(early, uses), (late, _)] = &prepared[..] else { panic!("{prepared:?}") };
        let count = |names: &str| names.split(',').filter(|name| !name.is_empty()).count();
        assert_eq!((count(early), count(late)), (3, 3), "{prepared:?}");
        assert!(*uses > 0, "{prepared:?}");
        assert!(early.split(',').all(|name| !late.split(',').any(|other| other == name)), "{prepared:?}");
    }
}

impl pgq::Hooks for Seen {
    fn round_failed(&self, error: &(dyn std::error::Error + 'static)) {
        eprintln!("a round failed: {}", dbscript::describe(error));
        self.failed_rounds.fetch_add(1, Ordering::Relaxed);
    }
}
