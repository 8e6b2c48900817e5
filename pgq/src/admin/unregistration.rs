//! Unregistering consumers and subconsumers.

use postgres::GenericClient;
use postgres::types::{ToSql, Type};

use crate::admin::position::{Position, consumer_position};
use crate::admin::{exclusive, find_queue};
use crate::error::Error;

/// $1 queue, $2 consumer. No row: there is no such queue.
const UNREGISTER: &str =
    "select pgq.unregister_consumer(queue_name, $2) from pgq.queue where queue_name = $1";

/// $1 queue, $2 consumer, $3 subconsumer. The events of an open batch come back to the others.
const UNREGISTER_SUBCONSUMER: &str = "select pgq_coop.unregister_subconsumer($1, $2, $3, 1)";

/// Removes a consumer and the events that it has put aside; returns `false` when it was not registered. PgQ:
/// `pgq.unregister_consumer`.
///
/// Of a subconsumer, the position and the events stay, since others share them; what its open batch has comes back to
/// those. PgQ: `pgq_coop.unregister_subconsumer`.
///
/// # Errors
///
/// When PgQ is not installed, the queue does not exist, and when the server refuses.
pub fn unregister_consumer(
    client: &mut impl GenericClient,
    queue: &str,
    consumer: &str,
) -> Result<bool, Error> {
    let what = format!("cannot unregister consumer `{consumer}`");
    exclusive::of_consumer(client, queue, consumer, &what, |transaction| {
        let row = match consumer_position(transaction, queue, consumer)? {
            None => return Ok(false),
            Some(Position::Shared { consumer: main, .. }) if let Some(member) = member(consumer, &main) => {
                let values: [(&(dyn ToSql + Sync), Type); 3] =
                    [(&queue, Type::TEXT), (&main, Type::TEXT), (&member, Type::TEXT)];
                find_queue::on_known_queue(transaction, queue, &what, UNREGISTER_SUBCONSUMER, &values)?
            }
            Some(_) => {
                let values: [(&(dyn ToSql + Sync), Type); 2] =
                    [(&queue, Type::TEXT), (&consumer, Type::TEXT)];
                find_queue::on_known_queue(transaction, queue, &what, UNREGISTER, &values)?
            }
        };
        Ok(row.get::<_, i32>(0) != 0)
    })
}

/// Returns what a subconsumer is called among those of its consumer.
fn member<'a>(consumer: &'a str, main: &str) -> Option<&'a str> {
    consumer.strip_prefix(main)?.strip_prefix('.')
}

/// Removes a subconsumer, as [`unregister_consumer`] does by its full name. Returns `false` when it was not registered.
/// PgQ: `pgq_coop.unregister_subconsumer`.
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
