//! Dropping queues, and listing what a drop would remove.

use crate::names::bytes;
use std::fmt;

use dbscript::param::{NO_PARAMS, boolean, text};
use dbscript::printable;
use postgres::error::SqlState;
use postgres::{GenericClient, Transaction};

use crate::admin::queue_lookup;
use crate::admin::retained_events::{self, RetainedEvents};
use crate::error::{At, Error};
use crate::lock;
use crate::names;
use crate::phrases::{count_of, joined};
use crate::schema::{self, row_security, search_path};
use crate::sql;

const CANNOT_DROP: &str = "cannot drop the queue";

/// The treatment of a queue that has consumers when it is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropMode {
    /// The queue is kept, and dropping it is an error.
    RefuseConsumers,
    /// The consumers are unregistered; their retry events and failed events are deleted.
    Force,
}

/// Drops a queue with its events. Returns `false` when the queue does not exist. PgQ: `pgq.drop_queue`.
///
/// The drop waits for transactions that use the queue, and blocks later users of the queue while it waits. It fails
/// after waiting 5 seconds for a lock, or after the session's `lock_timeout` if that is set.
///
/// # Errors
///
/// - PgQ is not installed.
/// - The queue has consumers, and the mode is [`DropMode::RefuseConsumers`].
/// - A view or another foreign object depends on the queue's tables.
/// - The queue is still in use; the error lists the transactions that use it.
/// - The server refuses.
pub fn drop_queue(client: &mut impl GenericClient, queue: &str, mode: DropMode) -> Result<bool, Error> {
    with_lock_timeout(client, queue, |transaction| drop_in(transaction, queue, mode))
}

/// $1 queue. Blocks the registration of consumers until the end of the transaction.
const LOCK_QUEUE: &str = "select queue_id from pgq.queue where queue_name = $1 for update";

/// $1 queue. Returns the quoted name of the event table, the names of the consumers, and the table's name again if row
/// security hides some of its events. No row: the queue does not exist.
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

/// Drops a queue as [`drop_queue`] does with `force`, provided that it has no consumers besides `consumers`, whose
/// removal an operator has confirmed.
///
/// # Errors
///
/// As [`drop_queue`], and when another consumer has registered since; nothing is changed then.
pub fn drop_queue_confirmed(
    client: &mut impl GenericClient,
    queue: &str,
    consumers: &[String],
) -> Result<bool, Error> {
    let failed = |error| At::queue(queue).failed(CANNOT_DROP, error);
    with_lock_timeout(client, queue, |transaction| {
        let values = [text(&queue)];
        // No consumer can register from here on.
        transaction.query_typed(LOCK_QUEUE, &values).map_err(failed)?;
        let row = transaction.query_typed_opt(QUEUE_CONTENTS, &values).map_err(failed)?;
        let registered: Vec<String> = row.map_or(Vec::new(), |row| names::into_strings(row.get(1)));
        match registered.iter().find(|name| !consumers.contains(name)) {
            Some(new) => {
                let what = format!("{CANNOT_DROP}: consumer `{}` has registered since", printable(new));
                Err(At::queue(queue).failure(what))
            }
            None => drop_in(transaction, queue, DropMode::Force),
        }
    })
}

/// $1 queue, $2 whether to unregister its consumers. No row: the queue does not exist.
const DROP_QUEUE: &str = "select pgq.drop_queue(queue_name, $2) from pgq.queue where queue_name = $1";

fn drop_in(transaction: &mut Transaction<'_>, queue: &str, mode: DropMode) -> Result<bool, Error> {
    let force = mode == DropMode::Force;
    let values = [text(&queue), boolean(&force)];
    let failed = |error| At::queue(queue).failed(CANNOT_DROP, error);
    let dependents = dependents(transaction, queue)?;
    if !dependents.is_empty() {
        let listed = dependents.join(", ");
        let message = match &*dependents {
            [_] => format!("{CANNOT_DROP}: {} depends on its tables; drop that first", printable(&listed)),
            _ => format!("{CANNOT_DROP}: {} depend on its tables; drop these first", printable(&listed)),
        };
        return Err(At::queue(queue).failure(message));
    }
    let given_path = search_path::set_if_minimal(transaction).map_err(failed)?;
    let dropped = transaction.query_typed_opt(DROP_QUEUE, &values).map_err(failed)?.is_some();
    search_path::restore(transaction, &given_path).map_err(failed)?;
    Ok(dropped)
}

/// Returns the foreign objects that depend on a queue's tables. `pgq.drop_queue` does not drop these.
fn dependents(client: &mut impl GenericClient, queue: &str) -> Result<Vec<String>, Error> {
    let failed = |error| At::queue(queue).failed("cannot read the queue's contents", error);
    schema::dependents_of_queue(client, queue).map_err(failed)
}

/// Changes a queue, waiting for each lock for a limited time. Returns `false` for a queue that another session has
/// dropped meanwhile.
fn with_lock_timeout(
    client: &mut impl GenericClient,
    queue: &str,
    change: impl FnOnce(&mut Transaction<'_>) -> Result<bool, Error>,
) -> Result<bool, Error> {
    schema::require(client)?;
    match change_in_transaction(client, queue, change) {
        Err(error) if error.sqlstate() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
            Err(in_use(client, queue).caused_by(error))
        }
        Err(error) if error.sqlstate().is_some() && queue_lookup::is_dropped(client, queue) => Ok(false),
        result => result,
    }
}

/// Limits the wait for each lock to 5 seconds for the rest of the transaction, unless the session has a limit already.
/// Returns the previous limit.
const LIMIT_LOCK_WAITS: &str = "select before, pg_catalog.set_config('lock_timeout'::pg_catalog.text, \
         case before when '0' then '5s'::pg_catalog.text else before end, true) \
     from (select pg_catalog.current_setting('lock_timeout'::pg_catalog.text) as before offset 0) setting";

/// Changes a queue in a transaction that holds the lock on its name and limits the wait for each lock.
fn change_in_transaction(
    client: &mut impl GenericClient,
    queue: &str,
    change: impl FnOnce(&mut Transaction<'_>) -> Result<bool, Error>,
) -> Result<bool, Error> {
    let failed = |error| At::queue(queue).failed(CANNOT_DROP, error);
    let mut transaction = client.transaction().map_err(failed)?;
    let limited = transaction.query_typed_one(LIMIT_LOCK_WAITS, NO_PARAMS);
    let timeout: String = limited.map_err(failed)?.get(0);
    lock::queue(&mut transaction, queue).map_err(|error| At::queue(queue).failed(CANNOT_DROP, error))?;
    let changed = change(&mut transaction)?;
    // `client` may be a transaction of the caller, to which the limit must not stick.
    transaction.query_typed(sql::SET_LOCK_TIMEOUT, &[text(&timeout)]).map_err(failed)?;
    transaction.commit().map_err(failed)?;
    Ok(changed)
}

/// $1 queue. Returns the names of its tables. No row: the queue does not exist.
const QUEUE_TABLES: &str = "select array(select pg_catalog.format('%s_%s', queue_data_pfx, part) \
         from pg_catalog.generate_series(0, queue_ntables - 1) part) \
     from pgq.queue where queue_name = $1";

/// Makes the error for a queue that is still in use. The error lists the users that this role may see.
fn in_use(client: &mut impl GenericClient, queue: &str) -> Error {
    let tables = client.query_typed_opt(QUEUE_TABLES, &[text(&queue)]);
    let tables: Vec<String> = tables.ok().flatten().map_or(Vec::new(), |row| row.get(0));
    let users = lock::transaction::users_of_tables(client, &tables).unwrap_or_default();
    let users: Vec<String> = users.iter().map(ToString::to_string).collect();
    let message = match &*users {
        [] => format!("{CANNOT_DROP}: it is in use"),
        users => format!("{CANNOT_DROP}: it is in use by {}", printable(&users.join(", "))),
    };
    At::queue(queue).failure(message)
}

/// Everything that dropping a queue removes, and what prevents the drop.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueContents {
    /// The number of events in the queue's tables, including those that every consumer has processed; `None` above one
    /// million, which would take long to count.
    pub events: Option<u64>,
    /// The number of delayed events, counted as `events` are; 0 if this role may not read them.
    pub delayed: Option<u64>,
    /// The number of schedules of recurring events; 0 if this role may not read them.
    pub schedules: u64,
    /// The retry events and failed events of the queue's consumers.
    pub retained: RetainedEvents,
    /// The names of the queue's consumers.
    pub consumers: Vec<String>,
    /// The foreign objects that depend on the queue's tables, each as its kind and name. They prevent the drop.
    pub dependents: Vec<String>,
}

impl fmt::Display for QueueContents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = |count: Option<u64>, thing: &str| {
            count.map_or(format!("more than a million {thing}s"), |count| count_of(count, thing))
        };
        let consumers = match &*self.consumers {
            [] => "no consumers".to_owned(),
            [one] => format!("consumer `{one}`"),
            several => format!("consumers {}", queue_lookup::quoted(several)),
        };
        let mut parts = vec![counted(self.events, "event")];
        parts.extend((self.delayed != Some(0)).then(|| counted(self.delayed, "delayed event")));
        parts.extend((self.schedules > 0).then(|| count_of(self.schedules, "schedule")));
        parts.extend(self.retained.parts());
        parts.push(consumers);
        f.write_str(&joined(&parts))
    }
}

/// Counting stops at this number of events.
const MAX_COUNTED: u64 = 1_000_000;

/// Makes the query that counts the events of a table. `table` is quoted already.
fn count_events(table: &str) -> String {
    format!("select pg_catalog.count(*) from (select from {table} limit {}) counted", MAX_COUNTED + 1)
}

/// Returns whether this role may read delayed events and schedules, false where they are not installed, and the tables
/// whose rows row security hides.
const MAY_READ: &str = "select coalesce(pg_catalog.has_table_privilege( \
         pg_catalog.to_regclass('pgq.delayed_queue')::pg_catalog.oid, 'select'::pg_catalog.text), false), \
     coalesce(pg_catalog.has_table_privilege( \
         pg_catalog.to_regclass('pgq.scheduled_event')::pg_catalog.oid, 'select'::pg_catalog.text), false), \
     (select pg_catalog.string_agg(name, ', '::pg_catalog.text) \
         from pg_catalog.unnest(array['pgq.delayed_queue'::pg_catalog.text, 'pgq.scheduled_event']) name \
         where pg_catalog.row_security_active(pg_catalog.to_regclass(name)::pg_catalog.oid))";

/// Counts the delayed events and the schedules of a queue, those of each that this role may read.
fn count_later(client: &mut impl GenericClient, queue: &str) -> Result<[u64; 2], Error> {
    let failed = |error| At::queue(queue).failed("cannot read the queue's contents", error);
    let readable = client.query_typed_one(MAY_READ, NO_PARAMS).map_err(failed)?;
    row_security::require_visible(readable.get(2)).map_err(|error| error.on_queue(queue))?;
    let count = |is_readable: bool, table: &str| match is_readable {
        true => format!(
            "(select pg_catalog.count(*) from ( \
                 select from pgq.{table} join pgq.queue on queue_id = ev_queue where queue_name = $1 limit {}) counted)",
            MAX_COUNTED + 1
        ),
        false => "0::pg_catalog.int8".to_owned(),
    };
    let [delayed, schedules] = ["delayed_queue", "scheduled_event"];
    let (delayed, schedules) = (count(readable.get(0), delayed), count(readable.get(1), schedules));
    let counts = format!("select {delayed}, {schedules}, $1");
    let row = client.query_typed_one(&counts, &[text(&queue)]).map_err(failed)?;
    Ok([0, 1].map(|column| row.get::<_, i64>(column).unsigned_abs()))
}

/// Returns what dropping a queue would remove; `None` when the queue does not exist.
///
/// # Errors
///
/// When PgQ is not installed, when this role may not read the queue's tables, and when the server fails.
pub fn queue_contents(client: &mut impl GenericClient, queue: &str) -> Result<Option<QueueContents>, Error> {
    schema::require(client)?;
    let failed = |error| At::queue(queue).failed("cannot read the queue's contents", error);
    let row = client.query_typed_opt(QUEUE_CONTENTS, &[text(&queue)]).map_err(failed)?;
    let Some(row) = row else { return Ok(None) };
    row_security::require_visible(row.get(2)).map_err(|error| error.on_queue(queue))?;
    let count = client.query_typed_one(&count_events(row.get(0)), NO_PARAMS);
    let count = match count {
        Ok(count) => count.get::<_, i64>(0).unsigned_abs(),
        // Dropped since the statement above.
        Err(_) if queue_lookup::is_dropped(client, queue) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let [delayed, schedules] = count_later(client, queue)?;
    Ok(Some(QueueContents {
        delayed: Some(delayed).filter(|count| *count <= MAX_COUNTED),
        schedules,
        events: Some(count).filter(|count| *count <= MAX_COUNTED),
        retained: retained_events::read(client, queue, None)?,
        consumers: names::into_strings(row.get(1)),
        dependents: dependents(client, queue)?,
    }))
}
