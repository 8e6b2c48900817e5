//! The position of a consumer on a queue.

use crate::names::bytes;
use dbscript::param::text;
use postgres::{GenericClient, Row};

use crate::admin::queue_lookup::{self, QueueQuery};
use crate::error::Error;
use crate::names::{self, Name};

/// The position of a registered consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Position {
    /// The consumer has a position of its own.
    Own {
        /// The tick after which the next batch begins, or the open batch.
        tick: i64,
        /// The open batch, if any.
        batch: Option<i64>,
    },
    /// A subconsumer, which shares the position of another consumer.
    Shared {
        /// The name of the consumer that has the position.
        consumer: String,
        /// The batch that the subconsumer has open, if any.
        batch: Option<i64>,
    },
}

impl Position {
    fn read(row: &Row, consumer: &str) -> Option<Position> {
        row.get::<_, Option<i32>>(0)?;
        let (tick, batch, other): (Option<i64>, _, Option<Name>) = (row.get(1), row.get(2), row.get(3));
        match (other.map(|name| name.0), tick) {
            (None, Some(tick)) => Some(Position::Own { tick, batch }),
            // A row without a tick is a subconsumer's, even when its consumer cannot be found.
            (other, _) => Some(Position::Shared { consumer: other.unwrap_or(consumer.to_owned()), batch }),
        }
    }
}

/// $1 queue, $2 consumer. Returns the id, tick and batch of the consumer, and for a subconsumer the name of its
/// consumer. No row: the queue does not exist. A null id: the consumer is not registered.
///
/// A subconsumer is recognized by its name, which begins with its consumer's name and a dot: while it has a batch open,
/// its row has the same columns set as a consumer's.
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

/// Returns a consumer's position; `None` when the consumer is not registered.
///
/// # Errors
///
/// When PgQ is not installed or the queue does not exist ([`ErrorKind::Missing`](crate::ErrorKind::Missing)), and when
/// the server fails.
pub fn consumer_position(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
) -> Result<Option<Position>, Error> {
    let values = [text(&queue), text(&consumer)];
    let what = format!("cannot look up consumer `{consumer}`");
    let row = QueueQuery::new(queue, &what, CONSUMER_POSITION, &values).listed_row(client)?;
    Ok(Position::read(&row, consumer))
}

/// Returns the position of a consumer, which must be registered.
///
/// # Errors
///
/// As [`consumer_position`], and when the consumer is not registered
/// ([`ErrorKind::Missing`](crate::ErrorKind::Missing)). The error lists the registered consumers.
pub fn require_consumer(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
) -> Result<Position, Error> {
    consumer_position(client, queue, consumer)?.ok_or_else(|| unregistered(client, queue, consumer))
}

/// Makes the error for a consumer that is not registered, with the names of the registered consumers.
fn unregistered(client: &mut impl GenericClient, queue: &str, consumer: &str) -> Error {
    match consumer_names(client, queue) {
        Ok(names) => {
            let registered = queue_lookup::list_of_names(&names);
            Error::missing(format!("consumer `{consumer}` is not registered; {registered}")).on_queue(queue)
        }
        Err(error) => error,
    }
}

/// $1 queue. Returns the names of consumers with a position of their own. No row: the queue does not exist.
const CONSUMER_NAMES: &str = concat!(
    "select array( \
         select ",
    bytes!("co_name"),
    " from pgq.subscription join pgq.consumer on co_id = sub_consumer \
         where sub_queue = queue_id and sub_last_tick is not null order by co_name) \
     from pgq.queue where queue_name = $1"
);

fn consumer_names(client: &mut impl GenericClient, queue: &str) -> Result<Vec<String>, Error> {
    let values = [text(&queue)];
    let row =
        QueueQuery::new(queue, "cannot list the consumers", CONSUMER_NAMES, &values).listed_row(client)?;
    Ok(names::into_strings(row.get(0)))
}
