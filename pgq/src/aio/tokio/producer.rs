//! Inserts events in the caller's transaction.

use std::time::Duration;

use dbscript::param::NO_PARAMS;
use tokio_postgres::GenericClient;

use super::BulkInsert;
use crate::error::Error;
use crate::event::new_event::NewEvent;
use crate::produce::bulk_insert::failed;
use crate::produce::chunk::Chunk;
use crate::produce::copy::rotated;
use crate::produce::delayed;
use crate::produce::once::{self, InsertedOnce};
use crate::produce::producer::{delayed_id, delayed_values, insert_values, inserted, require_no_time};
use crate::produce::schedule::Schedule;
use crate::produce::schedule_event::{SCHEDULE_EVENT, SERVER_TIME, Scheduled, Times, require_schedulable};
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
    if let Some(due) = delayed::due(event) {
        let values = delayed_values(&queue, event, &due);
        return delayed_id(queue, client.query_typed_opt(sql::INSERT_DELAYED, &values).await);
    }
    require_no_time(queue, event)?;
    let values = insert_values(&queue, event);
    let answer = client.query_typed_opt(sql::INSERT_EVENT_READ_COMMITTED, &values).await;
    if let Some(id) = inserted(queue, answer)? {
        return Ok(id);
    }
    match inserted(queue, client.query_typed_opt(sql::INSERT_EVENT, &values).await)? {
        Some(id) => Ok(id),
        None => Err(rotated(queue, client.batch_execute(&sql::rotated(queue)).await)),
    }
}

/// Inserts an event unless one with the same key was inserted into the queue. See
/// [`insert_event_once`](crate::insert_event_once()).
///
/// # Errors
///
/// As [`insert_event_once`](crate::insert_event_once()).
pub async fn insert_event_once(
    client: &impl GenericClient,
    queue: &str,
    key: &str,
    keep: Duration,
    event: &NewEvent<'_>,
) -> Result<InsertedOnce, Error> {
    once::require_plain(queue, event)?;
    let keep = once::interval(keep);
    let values = once::values(&queue, event, &key, &keep);
    once::inserted(queue, client.query_typed_opt(sql::INSERT_EVENT_ONCE, &values).await)
}

/// Schedules a recurring event, which the ticker inserts at each time of the schedule. See
/// [`schedule_event`](crate::schedule_event()).
///
/// # Errors
///
/// As [`schedule_event`](crate::schedule_event()).
pub async fn schedule_event(
    client: &impl GenericClient,
    queue: &str,
    name: &str,
    schedule: &Schedule,
    event: &NewEvent<'_>,
) -> Result<Scheduled, Error> {
    require_schedulable(queue, event)?;
    let now = client.query_typed_one(SERVER_TIME, NO_PARAMS).await;
    let times = Times::read(queue, name, schedule, now)?;
    let answer = client.query_typed_opt(SCHEDULE_EVENT, &times.values(&queue, &name, event)).await;
    times.scheduled(queue, answer)
}

/// Inserts many events by COPY, all of them or none; returns their number. See
/// [`bulk_insert`](crate::bulk_insert()).
///
/// [`BulkInsert`] does the same for events that are made one by one, such as those of a stream.
///
/// In a task that is spawned, an iterator whose closure borrows may not compile: "implementation of `Send` is not general
/// enough". Collect the events into a `Vec` then.
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
    let mut delayed = Vec::new();
    for event in delayed::split(events, &mut delayed) {
        bulk.write(&event).await?;
    }
    let inserted = bulk.finish().await? + insert_delayed(&transaction, queue, delayed).await?;
    transaction.commit().await.map_err(|error| failed(queue, error))?;
    Ok(inserted)
}

async fn insert_delayed(
    client: &impl GenericClient,
    queue: &str,
    delayed: Vec<NewEvent<'_>>,
) -> Result<u64, Error> {
    let (mut delayed, mut inserted) = (delayed.into_iter(), 0);
    while let Some(chunk) = Chunk::next(&mut delayed) {
        let (texts, dues) = (chunk.texts(), chunk.dues());
        let values = delayed::values(&queue, &texts, &dues);
        let answer = client.query_typed(sql::INSERT_ALL_DELAYED, &values).await;
        let rows = answer.map_err(|error| delayed::failed(queue, error))?;
        inserted += rows.first().map_or(0, |row| row.get::<_, i64>(0).unsigned_abs());
    }
    Ok(inserted)
}
