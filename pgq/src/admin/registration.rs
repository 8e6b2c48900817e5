//! Consumers of queues: register, move, unregister.

use crate::sql::wait_for_disk;
use dbscript::printable;
use postgres::error::SqlState;
use postgres::types::{ToSql, Type};
use postgres::{GenericClient, Row, Transaction};

use crate::admin::integrity::ADVICE;
use crate::admin::position::{Position, consumer_position, require_consumer};
use crate::admin::ticks::{require_tick, tick_time};
use crate::admin::{exclusive, find_queue};
use crate::error::Error;
use crate::event::checkpoint::Checkpoint;

/// $1 queue, $2 consumer. No row: there is no such queue.
const REGISTER: &str = "select pgq.register_consumer(queue_name, $2) from pgq.queue where queue_name = $1";

/// Registers a consumer; its first batch is what comes after the queue's last tick. Returns `false` when it
/// was registered already. PgQ: `pgq.register_consumer`.
///
/// # Errors
///
/// When PgQ is not installed, the queue does not exist or has no tick yet, the name is empty, when the consumer would
/// share another one's id, as in a database that was moved without its sequences, and when the server refuses.
pub fn register_consumer(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
) -> Result<bool, Error> {
    let values: [(&(dyn ToSql + Sync), Type); 2] = [(&queue, Type::TEXT), (&consumer, Type::TEXT)];
    let what = format!("cannot register consumer `{consumer}`");
    exclusive::of_consumer(client, queue, consumer, &what, |transaction| {
        require_free_ids(transaction, queue, consumer, &what)?;
        let row = find_queue::on_queue(transaction, queue, &what, REGISTER, &values);
        finish_registration(transaction, queue, consumer, &what, row)
    })
}

/// Returns whether a consumer is new, which fails when it would share another one's id: they would share retry events,
/// and be removed together.
fn finish_registration(
    transaction: &mut Transaction<'_>,
    queue: &str,
    consumer: &str,
    what: &str,
    registered: Result<Row, Error>,
) -> Result<bool, Error> {
    let is_new = registered.map_err(|error| explained(what, error))?.get::<_, i32>(0) != 0;
    if is_new {
        require_own_id(transaction, queue, consumer, what)?;
    }
    Ok(is_new)
}

/// $1 queue, $2 consumer. Whether it is not registered, and the sequence of the ids of registrations is behind; no is
/// the answer to a role that may not see the sequence. No row: there is no such queue.
const IDS_ARE_BEHIND: &str = "select case \
         when pg_catalog.has_sequence_privilege('pgq.subscription_sub_id_seq'::pg_catalog.text, 'select'::pg_catalog.text) \
         then coalesce(coalesce(pg_catalog.pg_sequence_last_value('pgq.subscription_sub_id_seq'::pg_catalog.regclass), \
                 pgq.seq_getval('pgq.subscription_sub_id_seq'::pg_catalog.text) - 1::pg_catalog.int8) \
             < (select pg_catalog.max(sub_id) from pgq.subscription), false) else false end \
         and not exists (select from pgq.subscription join pgq.consumer on co_id = sub_consumer \
             where sub_queue = queue_id and co_name = $2) \
     from pgq.queue where queue_name = $1";

/// Fails for a new consumer when the next id would be one in use, as far as this role may see that.
fn require_free_ids(
    transaction: &mut Transaction<'_>,
    queue: &str,
    consumer: &str,
    what: &str,
) -> Result<(), Error> {
    let row = ids_of(transaction, IDS_ARE_BEHIND, (queue, consumer), what)?;
    // A queue that is not there is the registration's to say.
    match row.is_some_and(|row| row.get(0)) {
        true => Err(moved(what).on_queue(queue)),
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
    let values: [(&(dyn ToSql + Sync), Type); 2] = [(&queue, Type::TEXT), (&consumer, Type::TEXT)];
    let failed = |error| Error::failed(what).on_queue(queue).caused_by(error);
    transaction.query_typed_opt(statement, &values).map_err(failed)
}

/// $1 queue, $2 consumer. Who else has the id of a new registration. Subconsumers share their consumer's id.
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

/// Fails when a new consumer has another one's id.
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
            let why = format!("its id would be that of consumer `{}`", printable(&other));
            Err(Error::failed(format!("{what}: {why}; {ADVICE}")).on_queue(queue))
        }
    }
}

/// Says more about an error that a sequence is the reason of which is behind its table.
fn explained(what: &str, error: Error) -> Error {
    match error.sqlstate() {
        Some(&SqlState::DATA_CORRUPTED | &SqlState::UNIQUE_VIOLATION) => moved(what).caused_by(error),
        _ => error,
    }
}

fn moved(what: &str) -> Error {
    Error::failed(format!("{what}: the sequence of ids is behind those in use; {ADVICE}"))
}

/// Registers a consumer, or moves it, to start behind a given tick; a batch it has open is closed. PgQ:
/// `pgq.register_consumer_at`.
///
/// A tick whose number was remembered outside of the queue is another one after a restore or a failover;
/// [`register_consumer_at_checkpoint`] compares its time.
///
/// # Errors
///
/// As [`register_consumer`]; when the queue has no such tick ([`ErrorKind::Missing`](crate::ErrorKind::Missing)), with
/// the first and the last one; and when the consumer shares the position of another one
/// ([`ErrorKind::Usage`](crate::ErrorKind::Usage)).
pub fn register_consumer_at(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
    tick: i64,
) -> Result<bool, Error> {
    register_consumer_at_checkpoint(client, queue, consumer, &Checkpoint { tick, time: None })
}

/// $1 queue, $2 consumer, $3 tick. No row: there is no such queue.
const REGISTER_AT: &str =
    "select pgq.register_consumer_at(queue_name, $2, $3) from pgq.queue where queue_name = $1";

/// As [`register_consumer_at`], at a tick that was remembered elsewhere, which the queue must still have: under its
/// number and, if that was remembered too, with its time.
///
/// # Errors
///
/// As [`register_consumer_at`]; when the queue's tick of that number was made at another time, the error
/// ([`ErrorKind::Missing`](crate::ErrorKind::Missing)) shows both times.
pub fn register_consumer_at_checkpoint(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
    checkpoint: &Checkpoint,
) -> Result<bool, Error> {
    let tick = checkpoint.tick;
    let values: [(&(dyn ToSql + Sync), Type); 3] =
        [(&queue, Type::TEXT), (&consumer, Type::TEXT), (&tick, Type::INT8)];
    let what = format!("cannot register consumer `{consumer}` at tick {tick}");
    exclusive::of_consumer(client, queue, consumer, &what, |transaction| {
        require_own(transaction, queue, consumer)?;
        require_tick(transaction, queue, tick)?;
        require_time(transaction, (queue, consumer), checkpoint)?;
        require_free_ids(transaction, queue, consumer, &what)?;
        let row = find_queue::on_known_queue(transaction, queue, &what, REGISTER_AT, &values);
        finish_registration(transaction, queue, consumer, &what, row)
    })
}

/// Fails when the queue's tick was made at another time than the one that is meant.
fn require_time(
    client: &mut impl GenericClient,
    (queue, consumer): (&str, &str),
    checkpoint: &Checkpoint,
) -> Result<(), Error> {
    if checkpoint.time.is_none() {
        return Ok(());
    }
    let there = Checkpoint { tick: checkpoint.tick, time: tick_time(client, queue, checkpoint.tick)? };
    if there.is(checkpoint) {
        return Ok(());
    }
    let what = format!(
        "consumer `{consumer}` cannot be moved to {checkpoint}: the queue has {there}, so it was restored, failed over or \
         made anew since; --reset forgets the tick and goes on where the queue stands"
    );
    Err(Error::missing(what).on_queue(queue))
}

/// Fails for a subconsumer, which must not get a position beside the one that it shares.
fn require_own(client: &mut impl GenericClient, queue: &str, consumer: &str) -> Result<(), Error> {
    match consumer_position(client, queue, consumer)? {
        Some(Position::Shared { consumer: other, .. }) => {
            let what = format!("consumer `{consumer}` shares the position of `{other}` and cannot be moved");
            Err(Error::usage(what).on_queue(queue))
        }
        _ => Ok(()),
    }
}

/// $1 queue, $2 consumer, $3 subconsumer. No row: there is no such queue.
const REGISTER_SUBCONSUMER: &str = concat!(
    "select pgq_coop.register_subconsumer(queue_name, $2, $3), ",
    wait_for_disk!(),
    " from pgq.queue where queue_name = $1"
);

/// Registers a subconsumer, which shares the consumer's position with others, and the consumer too when it is not
/// there yet. Returns `false` when the subconsumer was registered already. PgQ: `pgq_coop.register_subconsumer`.
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
    let values: [(&(dyn ToSql + Sync), Type); 3] =
        [(&queue, Type::TEXT), (&consumer, Type::TEXT), (&subconsumer, Type::TEXT)];
    let failed = |error| Error::failed(&*what).on_queue(queue).caused_by(error);
    let mut transaction = client.transaction().map_err(failed)?;
    require_free_ids(&mut transaction, queue, consumer, &what)?;
    let row = find_queue::on_queue(&mut transaction, queue, &what, REGISTER_SUBCONSUMER, &values);
    let row = row.map_err(|error| match error.sqlstate() {
        Some(&SqlState::INVALID_SCHEMA_NAME | &SqlState::UNDEFINED_FUNCTION) => Error::missing(
            "cooperative consumers are not installed; `pgqadm CONFIG.ini install` or `pgq::schema::install` installs them",
        )
        .caused_by(error),
        _ => explained(&what, error),
    })?;
    let is_new = row.get::<_, i32>(0) != 0;
    if is_new {
        require_own_id(&mut transaction, queue, consumer, &what)?;
    }
    transaction.commit().map_err(failed)?;
    Ok(is_new)
}

/// Registers a consumer at the position of another one, or moves it there; a batch it has open is closed. Returns
/// `false` when it was registered already.
///
/// Where the other one has a batch open, the position is the beginning of that batch. Events that the other one
/// put aside, for a retry or as failed, are not copied.
///
/// # Errors
///
/// When PgQ is not installed, when the queue does not exist or the other consumer is not registered on it
/// ([`ErrorKind::Missing`](crate::ErrorKind::Missing)), when one of the two shares the position of another one
/// ([`ErrorKind::Usage`](crate::ErrorKind::Usage)), and when the server refuses.
pub fn register_consumer_copy(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
    other: &str,
) -> Result<bool, Error> {
    let tick = position_to_copy(client, queue, other)?;
    register_consumer_at(client, queue, consumer, tick)
}

/// Returns the tick at which [`register_consumer_copy`] registers.
///
/// # Errors
///
/// When PgQ is not installed, when the queue does not exist or the other consumer is not registered on it
/// ([`ErrorKind::Missing`](crate::ErrorKind::Missing)), when that one has no position of its own
/// ([`ErrorKind::Usage`](crate::ErrorKind::Usage)), and when the server fails.
pub fn position_to_copy(client: &mut impl GenericClient, queue: &str, other: &str) -> Result<i64, Error> {
    match require_consumer(client, queue, other)? {
        Position::Own { tick, .. } => Ok(tick),
        Position::Shared { consumer: main, .. } => {
            let what = format!("consumer `{other}` shares the position of `{main}`, which can be copied");
            Err(Error::usage(what).on_queue(queue))
        }
    }
}

/// $1 queue, $2 consumer. No row: there is no such queue.
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
    let values: [(&(dyn ToSql + Sync), Type); 2] = [(&queue, Type::TEXT), (&consumer, Type::TEXT)];
    find_queue::on_queue(
        client,
        queue,
        &format!("cannot look for consumer `{consumer}`"),
        IS_REGISTERED,
        &values,
    )
    .map(|row| row.get(0))
}
