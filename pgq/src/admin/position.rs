//! Where a consumer stands on a queue.

use crate::names::bytes;
use postgres::types::{ToSql, Type};
use postgres::{GenericClient, Row};

use crate::admin::find_queue;
use crate::error::Error;
use crate::names::{self, Name};

/// Where a registered consumer stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Position {
    /// At a position of its own.
    Own {
        /// The tick behind which the next batch begins, or the open one.
        tick: i64,
        /// The batch that it has open.
        batch: Option<i64>,
    },
    /// At that of another consumer, of which it is a subconsumer.
    Shared {
        /// The name of the other one.
        consumer: String,
        /// The batch that the subconsumer has open.
        batch: Option<i64>,
    },
}

impl Position {
    fn read(row: &Row, consumer: &str) -> Option<Position> {
        row.get::<_, Option<i32>>(0)?;
        let (tick, batch, other): (Option<i64>, _, Option<Name>) = (row.get(1), row.get(2), row.get(3));
        match (other.map(|name| name.0), tick) {
            (None, Some(tick)) => Some(Position::Own { tick, batch }),
            // Who has no tick shares one, even when nobody knows whose.
            (other, _) => Some(Position::Shared { consumer: other.unwrap_or(consumer.to_owned()), batch }),
        }
    }
}

/// $1 queue, $2 consumer. Its tick and batch, and the consumer whose position it shares, if it is a subconsumer.
/// No row: there is no such queue; a null id: no such consumer.
///
/// A subconsumer's name begins with its consumer's; its row may look like any other at times.
const CONSUMER_POSITION: &str = concat!(
    "select sub_id, sub_last_tick, sub_batch, ( \
         select ",
    bytes!("name.co_name"),
    " from pgq.subscription other join pgq.consumer name on name.co_id = other.sub_consumer \
         where other.sub_queue = queue_id and other.sub_id = own.sub_id and other.sub_consumer <> own.sub_consumer \
             and (pg_catalog.starts_with($2, name.co_name || '.') or own.sub_last_tick is null) \
         order by pg_catalog.starts_with($2, name.co_name || '.') desc, pg_catalog.length(name.co_name) limit 1) \
     from pgq.queue \
     left join (pgq.subscription own join pgq.consumer on co_id = own.sub_consumer and co_name = $2) \
         on own.sub_queue = queue_id \
     where queue_name = $1"
);

/// Returns where a consumer stands; `None` when it is not registered.
///
/// # Errors
///
/// When PgQ is not installed, the queue does not exist ([`ErrorKind::Missing`](crate::ErrorKind::Missing)), and when
/// the server fails.
pub fn consumer_position(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
) -> Result<Option<Position>, Error> {
    let values: [(&(dyn ToSql + Sync), Type); 2] = [(&queue, Type::TEXT), (&consumer, Type::TEXT)];
    let what = format!("cannot look for consumer `{consumer}`");
    let row = find_queue::on_known_queue(client, queue, &what, CONSUMER_POSITION, &values)?;
    Ok(Position::read(&row, consumer))
}

/// Returns where a consumer stands, which has to be registered.
///
/// # Errors
///
/// As [`consumer_position`], and when the consumer is not registered
/// ([`ErrorKind::Missing`](crate::ErrorKind::Missing)), with those that are.
pub fn require_consumer(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
) -> Result<Position, Error> {
    consumer_position(client, queue, consumer)?.ok_or_else(|| unregistered(client, queue, consumer))
}

/// Makes the error of a consumer that is not registered, with those that are.
fn unregistered(client: &mut impl GenericClient, queue: &str, consumer: &str) -> Error {
    match consumer_names(client, queue) {
        Ok(names) => {
            let there = find_queue::there_are(&names);
            Error::missing(format!("consumer `{consumer}` is not registered; {there}")).on_queue(queue)
        }
        Err(error) => error,
    }
}

/// $1 queue. Consumers with a position of their own. No row: there is no such queue.
const CONSUMER_NAMES: &str = concat!(
    "select array( \
         select ",
    bytes!("co_name"),
    " from pgq.subscription join pgq.consumer on co_id = sub_consumer \
         where sub_queue = queue_id and sub_last_tick is not null order by co_name) \
     from pgq.queue where queue_name = $1"
);

fn consumer_names(client: &mut impl GenericClient, queue: &str) -> Result<Vec<String>, Error> {
    let values: [(&(dyn ToSql + Sync), Type); 1] = [(&queue, Type::TEXT)];
    let row =
        find_queue::on_known_queue(client, queue, "cannot list the consumers", CONSUMER_NAMES, &values)?;
    Ok(names::all(row.get(0)))
}
