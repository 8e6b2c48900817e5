//! Queues: drop, and what goes with them.

use crate::names::bytes;
use std::fmt;

use dbscript::printable;
use postgres::error::SqlState;
use postgres::types::{ToSql, Type};
use postgres::{GenericClient, Transaction};

use crate::admin::find_queue;
use crate::admin::set_aside::{self, SetAside, joined, number};
use crate::error::Error;
use crate::lock;
use crate::names;
use crate::schema::{self, row_security};
use crate::sql;

const WHAT: &str = "cannot drop the queue";

/// What happens to a queue that has consumers when it is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropMode {
    /// The queue is kept, and dropping it is an error.
    RefuseConsumers,
    /// The consumers are unregistered; their retry events and failed events are deleted.
    Force,
}

/// Drops a queue with its events; returns `false` if it does not exist. PgQ: `pgq.drop_queue`.
///
/// Dropping waits for transactions that use the queue, and whoever wants to use it meanwhile waits as well. So it is
/// given up after five seconds, or after the session's `lock_timeout` if that is set.
///
/// # Errors
///
/// When PgQ is not installed, when the queue has consumers and the mode is [`DropMode::RefuseConsumers`], when a view or anything else of
/// others depends on its tables, when it stays in use, with who
/// uses it, and when the server refuses.
pub fn drop_queue(client: &mut impl GenericClient, queue: &str, mode: DropMode) -> Result<bool, Error> {
    patiently(client, queue, |transaction| dropped(transaction, queue, mode))
}

/// $1 queue. Keeps others from registering consumers.
const HOLD_QUEUE: &str = "select queue_id from pgq.queue where queue_name = $1 for update";

/// $1 queue. The table of events, quoted, the names of consumers, and the table again if row security hides some of its
/// events. No row: there is no such queue.
const QUEUE_CONTENTS: &str = concat!(
    "select pgq.quote_fqname(queue_data_pfx), array( \
         select ",
    bytes!("co_name"),
    " from pgq.subscription join pgq.consumer on co_id = sub_consumer \
         where sub_queue = queue_id order by co_name), \
     case when pg_catalog.row_security_active(pg_catalog.to_regclass(pgq.quote_fqname(queue_data_pfx))::pg_catalog.oid) \
         then queue_data_pfx end \
     from pgq.queue where queue_name = $1"
);

/// Drops a queue of which it is known which consumers it has, as [`drop_queue`] does with force.
///
/// # Errors
///
/// As [`drop_queue`], and when the queue has another consumer by now; nothing is changed then.
pub fn drop_queue_of(
    client: &mut impl GenericClient,
    queue: &str,
    consumers: &[String],
) -> Result<bool, Error> {
    let failed = |error| Error::failed(WHAT).on_queue(queue).caused_by(error);
    patiently(client, queue, |transaction| {
        let values: [(&(dyn ToSql + Sync), Type); 1] = [(&queue, Type::TEXT)];
        // Nobody registers any more from here on.
        transaction.query_typed(HOLD_QUEUE, &values).map_err(failed)?;
        let row = transaction.query_typed_opt(QUEUE_CONTENTS, &values).map_err(failed)?;
        let now: Vec<String> = row.map_or(Vec::new(), |row| names::all(row.get(1)));
        match now.iter().find(|name| !consumers.contains(name)) {
            Some(new) => Err(Error::failed(format!("{WHAT}: consumer `{}` has come since", printable(new)))
                .on_queue(queue)),
            None => dropped(transaction, queue, DropMode::Force),
        }
    })
}

/// $1 queue, $2 whether to unregister its consumers. No row: there is no such queue.
const DROP_QUEUE: &str = "select pgq.drop_queue(queue_name, $2) from pgq.queue where queue_name = $1";

fn dropped(transaction: &mut Transaction<'_>, queue: &str, mode: DropMode) -> Result<bool, Error> {
    let force = mode == DropMode::Force;
    let values: [(&(dyn ToSql + Sync), Type); 2] = [(&queue, Type::TEXT), (&force, Type::BOOL)];
    let failed = |error| Error::failed(WHAT).on_queue(queue).caused_by(error);
    let dependents = dependents(transaction, queue)?;
    if !dependents.is_empty() {
        let what = dependents.join(", ");
        let why = match &*dependents {
            [_] => format!("{WHAT}: {} depends on its tables; drop that first", printable(&what)),
            _ => format!("{WHAT}: {} depend on its tables; drop these first", printable(&what)),
        };
        return Err(Error::failed(why).on_queue(queue));
    }
    let search_path = schema::path::open(transaction).map_err(failed)?;
    let dropped = transaction.query_typed_opt(DROP_QUEUE, &values).map_err(failed)?.is_some();
    schema::path::restore(transaction, &search_path).map_err(failed)?;
    Ok(dropped)
}

/// Returns what of others depends on a queue's tables, which is not dropped with them.
fn dependents(client: &mut impl GenericClient, queue: &str) -> Result<Vec<String>, Error> {
    let failed = |error| Error::failed("cannot look into the queue").on_queue(queue).caused_by(error);
    schema::dependents_of_queue(client, queue).map_err(failed)
}

/// Changes a queue without waiting for ever. One that another program has dropped meanwhile is not there.
fn patiently(
    client: &mut impl GenericClient,
    queue: &str,
    change: impl FnOnce(&mut Transaction<'_>) -> Result<bool, Error>,
) -> Result<bool, Error> {
    schema::require(client)?;
    match limited(client, queue, change) {
        Err(error) if error.sqlstate() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
            Err(in_use(client, queue).caused_by(error))
        }
        Err(error) if error.sqlstate().is_some() && find_queue::is_gone(client, queue) => Ok(false),
        result => result,
    }
}

/// No lock of the transaction is waited for longer than five seconds from here on, unless the session has a limit.
/// Returns the limit as it was.
const WAIT_FOR_A_WHILE: &str = "select before, pg_catalog.set_config('lock_timeout'::pg_catalog.text, \
         case before when '0' then '5s'::pg_catalog.text else before end, true) \
     from (select pg_catalog.current_setting('lock_timeout'::pg_catalog.text) as before offset 0) setting";

/// Changes a queue in a transaction that has its name to itself and waits for each lock for some seconds only.
fn limited(
    client: &mut impl GenericClient,
    queue: &str,
    change: impl FnOnce(&mut Transaction<'_>) -> Result<bool, Error>,
) -> Result<bool, Error> {
    let failed = |error| Error::failed(WHAT).on_queue(queue).caused_by(error);
    let mut transaction = client.transaction().map_err(failed)?;
    let no_values: &[(&(dyn ToSql + Sync), Type)] = &[];
    let limited = transaction.query_typed_one(WAIT_FOR_A_WHILE, no_values);
    let timeout: String = limited.map_err(failed)?.get(0);
    lock::queue(&mut transaction, queue)
        .map_err(|error| Error::failed(WHAT).on_queue(queue).caused_by(error))?;
    let changed = change(&mut transaction)?;
    // The transaction may be the caller's.
    transaction.query_typed(sql::SET_LOCK_TIMEOUT, &[(&timeout, Type::TEXT)]).map_err(failed)?;
    transaction.commit().map_err(failed)?;
    Ok(changed)
}

/// $1 queue. Its tables. No row: there is no such queue.
const QUEUE_TABLES: &str = "select array(select pg_catalog.format('%s_%s', queue_data_pfx, part) \
         from pg_catalog.generate_series(0, queue_ntables - 1) part) \
     from pgq.queue where queue_name = $1";

/// Makes the error of a queue that stays in use, with who uses it as far as that may be seen.
fn in_use(client: &mut impl GenericClient, queue: &str) -> Error {
    let tables = client.query_typed_opt(QUEUE_TABLES, &[(&queue, Type::TEXT)]);
    let tables: Vec<String> = tables.ok().flatten().map_or(Vec::new(), |row| row.get(0));
    let users = lock::transaction::users_of_tables(client, &tables).unwrap_or_default();
    let users: Vec<String> = users.iter().map(ToString::to_string).collect();
    let what = match &*users {
        [] => format!("{WHAT}, which is in use"),
        users => format!("{WHAT}, which is in use by {}", printable(&users.join(", "))),
    };
    Error::failed(what).on_queue(queue)
}

/// What goes with a queue when it is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueContents {
    /// How many events its tables hold, also those that every consumer has seen; `None` when there are more than
    /// a million, which would take long to count.
    pub events: Option<u64>,
    /// What its consumers have put aside.
    pub set_aside: SetAside,
    /// The names of its consumers.
    pub consumers: Vec<String>,
    /// What of others depends on its tables, each as its kind and name, and keeps it from being dropped.
    pub dependents: Vec<String>,
}

impl fmt::Display for QueueContents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let events =
            self.events.map_or("more than a million events".to_owned(), |count| number(count, "event"));
        let consumers = match &*self.consumers {
            [] => "no consumers".to_owned(),
            [one] => format!("consumer `{one}`"),
            several => format!("consumers {}", find_queue::quoted(several)),
        };
        let mut parts = vec![events];
        parts.extend(self.set_aside.parts());
        parts.push(consumers);
        f.write_str(&joined(&parts))
    }
}

/// More events are not counted.
const COUNTED_EVENTS: u64 = 1_000_000;

/// Makes the query that counts the events of a table, whose name is quoted already.
fn count_events(table: &str) -> String {
    format!("select pg_catalog.count(*) from (select from {table} limit {}) counted", COUNTED_EVENTS + 1)
}

/// Returns what would go with a queue; `None` when it does not exist.
///
/// # Errors
///
/// When PgQ is not installed, when the role may not read the queue's tables, and when the server fails.
pub fn queue_contents(client: &mut impl GenericClient, queue: &str) -> Result<Option<QueueContents>, Error> {
    schema::require(client)?;
    let failed = |error| Error::failed("cannot look into the queue").on_queue(queue).caused_by(error);
    let row = client.query_typed_opt(QUEUE_CONTENTS, &[(&queue, Type::TEXT)]).map_err(failed)?;
    let Some(row) = row else { return Ok(None) };
    row_security::require_visible(row.get(2)).map_err(|error| error.on_queue(queue))?;
    let no_values: &[(&(dyn ToSql + Sync), Type)] = &[];
    let count = client.query_typed_one(&count_events(row.get(0)), no_values);
    let count = match count {
        Ok(count) => count.get::<_, i64>(0).unsigned_abs(),
        // Dropped since the look.
        Err(_) if find_queue::is_gone(client, queue) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    Ok(Some(QueueContents {
        events: Some(count).filter(|count| *count <= COUNTED_EVENTS),
        set_aside: set_aside::read(client, queue, None)?,
        consumers: names::all(row.get(1)),
        dependents: dependents(client, queue)?,
    }))
}
