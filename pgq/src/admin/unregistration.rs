//! Unregistering consumers and subconsumers.

use dbscript::param::text;
use postgres::GenericClient;
use postgres::error::SqlState;

use crate::admin::name_locks;
use crate::admin::position::{Position, consumer_position};
use crate::admin::queue_lookup::QueueQuery;
use crate::error::Error;

/// $1 queue, $2 consumer. No row: the queue does not exist.
const UNREGISTER: &str =
    "select pgq.unregister_consumer(queue_name, $2) from pgq.queue where queue_name = $1";

/// $1 queue, $2 consumer, $3 subconsumer. The events of an open batch are retried by the other subconsumers.
const UNREGISTER_SUBCONSUMER: &str = "select pgq_coop.unregister_subconsumer($1, $2, $3, 1)";

/// $1 queue, $2 consumer, $3 subconsumer. Fails if a batch is open. No row: the queue does not exist.
const UNREGISTER_IDLE: &str =
    "select pgq_coop.unregister_subconsumer(queue_name, $2, $3, 0) from pgq.queue where queue_name = $1";

/// Unregisters a consumer and deletes its retry events and failed events. Returns `false` when the consumer was not
/// registered. PgQ: `pgq.unregister_consumer`.
///
/// For a subconsumer, the shared position, retry events and failed events stay. The events of its open batch are
/// redelivered to the other subconsumers. PgQ: `pgq_coop.unregister_subconsumer`.
///
/// # Errors
///
/// When PgQ is not installed or the queue does not exist ([`ErrorKind::Missing`](crate::ErrorKind::Missing)), and when
/// the server refuses.
pub fn unregister_consumer(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
) -> Result<bool, Error> {
    let what = format!("cannot unregister consumer `{consumer}`");
    name_locks::change_registration(client, queue, consumer, &what, |transaction| {
        let row = match consumer_position(transaction, queue, consumer)? {
            None => return Ok(false),
            Some(Position::Shared { consumer: main, .. })
                if let Some(subconsumer) = short_name(consumer, &main) =>
            {
                let values = [text(&queue), text(&main), text(&subconsumer)];
                QueueQuery::new(queue, &what, UNREGISTER_SUBCONSUMER, &values).listed_row(transaction)?
            }
            Some(_) => {
                let values = [text(&queue), text(&consumer)];
                QueueQuery::new(queue, &what, UNREGISTER, &values).listed_row(transaction)?
            }
        };
        Ok(row.get::<_, i32>(0) != 0)
    })
}

/// Returns a subconsumer's name without the prefix of its consumer's name.
fn short_name<'a>(consumer: &'a str, main: &str) -> Option<&'a str> {
    consumer.strip_prefix(main)?.strip_prefix('.')
}

/// Unregisters a subconsumer, as [`unregister_consumer`] does by its full name. Returns `false` when the subconsumer
/// was not registered. PgQ: `pgq_coop.unregister_subconsumer`.
///
/// # Errors
///
/// As [`unregister_consumer`].
pub fn unregister_subconsumer(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
    subconsumer: &str,
) -> Result<bool, Error> {
    unregister_consumer(client, queue, &format!("{consumer}.{subconsumer}"))
}

/// Unregisters a subconsumer that has no batch open. Returns `false` when the subconsumer was not registered. PgQ:
/// `pgq_coop.unregister_subconsumer`.
///
/// # Errors
///
/// As [`unregister_consumer`], and when a batch is open.
pub fn unregister_idle_subconsumer(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
    subconsumer: &str,
) -> Result<bool, Error> {
    let name = format!("{consumer}.{subconsumer}");
    let what = format!("cannot unregister consumer `{name}`");
    let values = [text(&queue), text(&consumer), text(&subconsumer)];
    name_locks::change_registration(client, queue, &name, &what, |transaction| {
        let row = QueueQuery::new(queue, &what, UNREGISTER_IDLE, &values).listed_row(transaction);
        let row = row.map_err(|error| match error.sqlstate() {
            Some(&SqlState::OBJECT_IN_USE) => {
                let what = format!(
                    "{what}: it has a batch open; start it again until it has finished the batch, or let another \
                     subconsumer take the batch over (`subconsumer_timeout`)"
                );
                Error::failed(what).on_queue(queue)
            }
            _ => error,
        })?;
        Ok(row.get::<_, i32>(0) != 0)
    })
}
