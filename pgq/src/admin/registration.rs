//! Registering consumers and subconsumers, and moving consumers to other positions.

use crate::sql::wait_for_disk;
use chrono::{DateTime, Utc};
use dbscript::param::{int8, text};
use dbscript::printable;
use postgres::error::SqlState;
use postgres::{GenericClient, Row, Transaction};

use crate::admin::integrity::ADVICE;
use crate::admin::name_locks;
use crate::admin::position::{Position, consumer_position, require_consumer};
use crate::admin::queue_lookup::QueueQuery;
use crate::admin::ticks::{keep_ticks, require_tick, tick_at, tick_time};
use crate::error::{At, Error};
use crate::event::checkpoint::Checkpoint;

/// $1 queue, $2 consumer. No row: the queue does not exist.
const REGISTER: &str = "select pgq.register_consumer(queue_name, $2) from pgq.queue where queue_name = $1";

/// Registers a consumer. Its first batch begins at the queue's last tick. Returns `false` when the consumer was
/// registered already. PgQ: `pgq.register_consumer`.
///
/// # Errors
///
/// - PgQ is not installed, the queue does not exist, or the queue has no tick yet.
/// - The name is empty.
/// - The consumer would share the id of another one, as in a database that was moved without its sequences.
/// - The server refuses.
pub fn register_consumer(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
) -> Result<bool, Error> {
    let values = [text(&queue), text(&consumer)];
    let what = format!("cannot register consumer `{consumer}`");
    name_locks::change_registration(client, queue, consumer, &what, |transaction| {
        require_free_ids(transaction, queue, consumer, &what)?;
        let row = QueueQuery::new(queue, &what, REGISTER, &values).row(transaction);
        finish_registration(transaction, queue, consumer, &what, row)
    })
}

/// Returns whether a consumer is new. Fails when a new consumer shares the id of another one: the two would share retry
/// events, and unregistering one would remove both.
fn finish_registration(
    transaction: &mut Transaction<'_>,
    queue: &str,
    consumer: &str,
    what: &str,
    registered: Result<Row, Error>,
) -> Result<bool, Error> {
    let is_new = registered.map_err(|error| with_advice(what, error))?.get::<_, i32>(0) != 0;
    if is_new {
        require_own_id(transaction, queue, consumer, what)?;
    }
    Ok(is_new)
}

/// $1 queue, $2 consumer. Returns whether the consumer is not registered and the sequence of registration ids is
/// behind; `false` for a role that may not read the sequence. No row: the queue does not exist.
const IDS_ARE_BEHIND: &str = "select case \
         when pg_catalog.has_sequence_privilege('pgq.subscription_sub_id_seq'::pg_catalog.text, 'select'::pg_catalog.text) \
         then coalesce(coalesce(pg_catalog.pg_sequence_last_value('pgq.subscription_sub_id_seq'::pg_catalog.regclass), \
                 pgq.seq_getval('pgq.subscription_sub_id_seq'::pg_catalog.text) - 1::pg_catalog.int8) \
             < (select pg_catalog.max(sub_id) from pgq.subscription), false) else false end \
         and not exists (select from pgq.subscription join pgq.consumer on co_id = sub_consumer \
             where sub_queue = queue_id and co_name = $2) \
     from pgq.queue where queue_name = $1";

/// Fails for a new consumer when the next id is in use already, as far as this role may see that.
fn require_free_ids(
    transaction: &mut Transaction<'_>,
    queue: &str,
    consumer: &str,
    what: &str,
) -> Result<(), Error> {
    let row = ids_of(transaction, IDS_ARE_BEHIND, (queue, consumer), what)?;
    // The registration itself reports a missing queue.
    match row.is_some_and(|row| row.get(0)) {
        true => Err(ids_behind(what).on_queue(queue)),
        false => Ok(()),
    }
}

/// Runs a statement about the ids of a registration.
fn ids_of(
    transaction: &mut Transaction<'_>,
    statement: &str,
    (queue, consumer): (&str, &str),
    what: &str,
) -> Result<Option<Row>, Error> {
    let values = [text(&queue), text(&consumer)];
    let failed = |error| At::queue(queue).failed(what, error);
    transaction.query_typed_opt(statement, &values).map_err(failed)
}

/// $1 queue, $2 consumer. Returns another consumer that has the id of a new registration. Subconsumers share their
/// consumer's id.
const SHARED_ID: &str = "select other_name.co_name \
     from pgq.queue que \
     join pgq.subscription own on own.sub_queue = que.queue_id \
     join pgq.consumer c on c.co_id = own.sub_consumer \
     join pgq.subscription other on other.sub_id = own.sub_id \
         and (other.sub_queue <> own.sub_queue or other.sub_consumer <> own.sub_consumer) \
     join pgq.consumer other_name on other_name.co_id = other.sub_consumer \
     where que.queue_name = $1 and c.co_name = $2 and (other.sub_queue <> own.sub_queue \
         or not pg_catalog.starts_with(other_name.co_name, $2::pg_catalog.text || '.'::pg_catalog.text)) \
     limit 1";

/// Fails when a new consumer has the id of another one.
fn require_own_id(
    transaction: &mut Transaction<'_>,
    queue: &str,
    consumer: &str,
    what: &str,
) -> Result<(), Error> {
    let row = ids_of(transaction, SHARED_ID, (queue, consumer), what)?;
    match row.and_then(|row| row.get::<_, Option<String>>(0)) {
        None => Ok(()),
        Some(other) => {
            let why = format!("its id is used by consumer `{}`", printable(&other));
            Err(At::queue(queue).failure(format!("{what}: {why}; {ADVICE}")))
        }
    }
}

/// Adds advice to an error that is caused by a sequence behind its table.
fn with_advice(what: &str, error: Error) -> Error {
    match error.sqlstate() {
        Some(&SqlState::DATA_CORRUPTED | &SqlState::UNIQUE_VIOLATION) => ids_behind(what).caused_by(error),
        _ => error,
    }
}

fn ids_behind(what: &str) -> Error {
    Error::failed(format!("{what}: the sequence of ids is behind the ids in use; {ADVICE}"))
}

/// Registers a consumer at a tick, or moves a registered one there. Its next batch begins at that tick; an open batch
/// is closed. Returns `false` when the consumer was registered already. PgQ: `pgq.register_consumer_at`.
///
/// After a restore or a failover, a tick number that was stored outside of the queue may belong to another tick.
/// [`register_consumer_at_checkpoint`] compares the tick's time too.
///
/// # Errors
///
/// - As [`register_consumer`].
/// - The queue does not have the tick ([`ErrorKind::Missing`](crate::ErrorKind::Missing)). The error names the first and
///   the last tick.
/// - The consumer is a subconsumer ([`ErrorKind::Usage`](crate::ErrorKind::Usage)).
pub fn register_consumer_at(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
    tick: i64,
) -> Result<bool, Error> {
    register_consumer_at_checkpoint(client, queue, consumer, &Checkpoint { tick, time: None })
}

/// $1 queue, $2 consumer, $3 tick. No row: the queue does not exist.
const REGISTER_AT: &str =
    "select pgq.register_consumer_at(queue_name, $2, $3) from pgq.queue where queue_name = $1";

/// Registers or moves a consumer, as [`register_consumer_at`] does, at a tick that was stored outside of the queue. The
/// queue must still have a tick of that number and, if the checkpoint has a time, of that time.
///
/// # Errors
///
/// - As [`register_consumer_at`].
/// - The queue's tick of that number has another time ([`ErrorKind::Missing`](crate::ErrorKind::Missing)). The error
///   shows both times.
pub fn register_consumer_at_checkpoint(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
    checkpoint: &Checkpoint,
) -> Result<bool, Error> {
    let tick = checkpoint.tick;
    let values = [text(&queue), text(&consumer), int8(&tick)];
    let what = format!("cannot register consumer `{consumer}` at tick {tick}");
    name_locks::change_registration(client, queue, consumer, &what, |transaction| {
        require_own_position(transaction, queue, consumer)?;
        keep_ticks(transaction, queue)?;
        require_tick(transaction, queue, tick)?;
        require_same_time(transaction, (queue, consumer), checkpoint)?;
        require_free_ids(transaction, queue, consumer, &what)?;
        let row = QueueQuery::new(queue, &what, REGISTER_AT, &values).listed_row(transaction);
        finish_registration(transaction, queue, consumer, &what, row)
    })
}

/// Registers a consumer at the last tick that was made at a time or before it, or moves a registered one there, so that
/// events are delivered again. An open batch is closed. Returns `false` when the consumer was registered already.
///
/// The consumer receives all events that were committed after that time, and those between the tick and the time. The
/// events must still be there: [`tick_at`] describes the limit. A consumer that was registered before also receives again
/// the retry events that were put back into the queue for it. Its events that wait for a retry and its failed events stay.
///
/// ```no_run
/// use chrono::{TimeDelta, Utc};
///
/// # fn replay(client: &mut postgres::Client) -> Result<(), pgq::Error> {
/// pgq::admin::register_consumer_at_time(client, "orders", "billing", Utc::now() - TimeDelta::minutes(30))?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As [`register_consumer_at`] and [`tick_at`].
pub fn register_consumer_at_time(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
    time: DateTime<Utc>,
) -> Result<bool, Error> {
    let checkpoint = tick_at(client, queue, time)?;
    register_consumer_at_checkpoint(client, queue, consumer, &checkpoint)
}

/// Fails when the queue's tick has another time than the checkpoint.
fn require_same_time(
    client: &mut impl GenericClient,
    (queue, consumer): (&str, &str),
    checkpoint: &Checkpoint,
) -> Result<(), Error> {
    if checkpoint.time.is_none() {
        return Ok(());
    }
    let current = Checkpoint { tick: checkpoint.tick, time: tick_time(client, queue, checkpoint.tick)? };
    if current.is(checkpoint) {
        return Ok(());
    }
    let what = format!(
        "cannot move consumer `{consumer}` to {checkpoint}: the queue has {current}, so it was restored, failed over or \
         recreated since; run with --reset to discard the recorded tick and continue at the queue's position"
    );
    Err(Error::missing(what).on_queue(queue))
}

/// Fails for a subconsumer, which has no position of its own to change.
fn require_own_position(client: &mut impl GenericClient, queue: &str, consumer: &str) -> Result<(), Error> {
    match consumer_position(client, queue, consumer)? {
        Some(Position::Shared { consumer: other, .. }) => {
            let what =
                format!("cannot move consumer `{consumer}`: `{consumer}` shares the position of `{other}`");
            Err(Error::usage(what).on_queue(queue))
        }
        _ => Ok(()),
    }
}

/// $1 queue, $2 consumer, $3 subconsumer. No row: the queue does not exist.
const REGISTER_SUBCONSUMER: &str = concat!(
    "select pgq_coop.register_subconsumer(queue_name, $2, $3), ",
    wait_for_disk!(),
    " from pgq.queue where queue_name = $1"
);

/// Registers a subconsumer, which shares the consumer's position with other subconsumers. Registers the consumer too if
/// necessary. Returns `false` when the subconsumer was registered already. PgQ: `pgq_coop.register_subconsumer`.
///
/// # Errors
///
/// As [`register_consumer`], and when cooperative consumers are not installed
/// ([`ErrorKind::Missing`](crate::ErrorKind::Missing)).
pub fn register_subconsumer(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
    subconsumer: &str,
) -> Result<bool, Error> {
    let what = format!("cannot register subconsumer `{subconsumer}` of consumer `{consumer}`");
    let values = [text(&queue), text(&consumer), text(&subconsumer)];
    let failed = |error| At::queue(queue).failed(&*what, error);
    let mut transaction = client.transaction().map_err(failed)?;
    require_free_ids(&mut transaction, queue, consumer, &what)?;
    let row = QueueQuery::new(queue, &what, REGISTER_SUBCONSUMER, &values).row(&mut transaction);
    let row = row.map_err(|error| match error.sqlstate() {
        Some(&SqlState::INVALID_SCHEMA_NAME | &SqlState::UNDEFINED_FUNCTION) => Error::missing(
            "cooperative consumers are not installed; run `pgqadm CONFIG.ini install` or `pgq::schema::install`",
        )
        .caused_by(error),
        _ => with_advice(&what, error),
    })?;
    let is_new = row.get::<_, i32>(0) != 0;
    if is_new {
        require_own_id(&mut transaction, queue, consumer, &what)?;
    }
    transaction.commit().map_err(failed)?;
    Ok(is_new)
}

/// Registers a consumer at the position of another one, or moves a registered one there; its open batch is closed.
/// Returns `false` when the consumer was registered already.
///
/// If the other consumer has a batch open, the position is the beginning of that batch. The other consumer's retry
/// events and failed events are not copied.
///
/// # Errors
///
/// - PgQ is not installed, the queue does not exist, or the other consumer is not registered on it
///   ([`ErrorKind::Missing`](crate::ErrorKind::Missing)).
/// - One of the two is a subconsumer ([`ErrorKind::Usage`](crate::ErrorKind::Usage)).
/// - The server refuses.
pub fn register_consumer_copy(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
    other: &str,
) -> Result<bool, Error> {
    let tick = position_to_copy(client, queue, other)?;
    register_consumer_at(client, queue, consumer, tick)
}

/// Returns the tick at which [`register_consumer_copy`] registers a consumer.
///
/// # Errors
///
/// - PgQ is not installed, the queue does not exist, or the other consumer is not registered on it
///   ([`ErrorKind::Missing`](crate::ErrorKind::Missing)).
/// - The other consumer is a subconsumer ([`ErrorKind::Usage`](crate::ErrorKind::Usage)).
/// - The server fails.
pub fn position_to_copy(client: &mut impl GenericClient, queue: &str, other: &str) -> Result<i64, Error> {
    match require_consumer(client, queue, other)? {
        Position::Own { tick, .. } => Ok(tick),
        Position::Shared { consumer: main, .. } => {
            let what = format!(
                "cannot copy the position of consumer `{other}`: `{other}` shares the position of `{main}`; copy that one"
            );
            Err(Error::usage(what).on_queue(queue))
        }
    }
}

/// $1 queue, $2 consumer. No row: the queue does not exist.
const IS_REGISTERED: &str = "select exists ( \
         select from pgq.subscription join pgq.consumer on co_id = sub_consumer \
         where sub_queue = queue_id and co_name = $2) \
     from pgq.queue where queue_name = $1";

/// Returns whether a consumer is registered on a queue.
pub(crate) fn is_registered(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
) -> Result<bool, Error> {
    let values = [text(&queue), text(&consumer)];
    let what = format!("cannot look up consumer `{consumer}`");
    QueueQuery::new(queue, &what, IS_REGISTERED, &values).row(client).map(|row| row.get(0))
}
