//! Inserts events in the caller's transaction.

use tokio_postgres::GenericClient;

use super::BulkInsert;
use crate::error::Error;
use crate::event::new_event::NewEvent;
use crate::produce::bulk_insert::failed;
use crate::produce::copy::rotated;
use crate::produce::producer::{insert_values, inserted, require_no_time};
use crate::sql;

/// Inserts an event with a type and data; returns its id. See [`insert_event`](crate::insert_event).
///
/// # Errors
///
/// When the queue does not exist, and when the server refuses.
pub async fn insert_event(
    client: &impl GenericClient,
    queue: &str,
    event_type: &str,
    data: &str,
) -> Result<i64, Error> {
    insert_new_event(client, queue, &NewEvent::new(event_type, data)).await
}

/// Inserts an event; returns its id. See [`insert_new_event`](crate::insert_new_event).
///
/// # Errors
///
/// As [`insert_event`], and when the event has a [time](NewEvent::time) of its own
/// ([`ErrorKind::Usage`](crate::ErrorKind::Usage)).
pub async fn insert_new_event(
    client: &impl GenericClient,
    queue: &str,
    event: &NewEvent<'_>,
) -> Result<i64, Error> {
    require_no_time(queue, event)?;
    let values = insert_values(&queue, event);
    match inserted(queue, client.query_typed_opt(sql::INSERT_EVENT, &values).await)? {
        Some(id) => Ok(id),
        None => Err(rotated(queue, client.batch_execute(&sql::rotated(queue)).await)),
    }
}

/// Inserts many events by COPY, all of them or none; returns their number. See
/// [`bulk_insert`](crate::bulk_insert()).
///
/// [`BulkInsert`] does the same for events that are made one by one, such as those of a stream.
///
/// # Errors
///
/// As [`BulkInsert::start`] and [`BulkInsert::finish`].
pub async fn bulk_insert<'a>(
    client: &mut impl GenericClient,
    queue: &str,
    events: impl IntoIterator<Item = NewEvent<'a>>,
) -> Result<u64, Error> {
    let transaction = client.transaction().await.map_err(|error| failed(queue, error))?;
    let mut bulk = BulkInsert::start(&transaction, queue).await?;
    for event in events {
        bulk.write(&event).await?;
    }
    let inserted = bulk.finish().await?;
    transaction.commit().await.map_err(|error| failed(queue, error))?;
    Ok(inserted)
}
