//! The bulk path: COPY out of one database into another, without looking at a row.

use std::io::{BufRead, Write};

use chrono::{DateTime, Utc};
use postgres::types::{ToSql, Type};
use postgres::{CopyInWriter, CopyOutReader, GenericClient, Row};

use crate::error::unwrap_io;
use crate::lock::Lock;
use crate::{BoxError, Error, queue, sql};

/// Rows are sent on in pieces of this size: larger ones only keep the target waiting.
const CHUNK: usize = 32 * 1024;

/// Whether events keep their ids in the queue that they are copied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ids {
    /// The target numbers them.
    New,
    /// They keep theirs.
    Kept,
}

/// Copies a batch's events into a queue. Returns how many there were.
pub(crate) fn copy_batch(
    source: &mut impl GenericClient,
    batch_events: &str,
    target: &mut impl GenericClient,
    queue: &str,
    ids: Ids,
) -> Result<u64, BoxError> {
    let (table, _) = event_table(target, queue)?;
    let keeps = ids == Ids::Kept;
    let reader = source.copy_out(&*sql::batch::copy_out(batch_events, keeps))?;
    let writer = target.copy_in(&*sql::batch::copy_in(&table, keeps))?;
    let copied = stream(reader, writer)?;
    if keeps && copied > 0 {
        move_ids(target, queue, &table, copied)?;
    }
    Ok(copied)
}

/// The target's own ids go on behind the ones that came.
fn move_ids(target: &mut impl GenericClient, queue: &str, table: &str, copied: u64) -> Result<(), Error> {
    let failed =
        |error| Error::failed("cannot move the sequence of event ids").on_queue(queue).caused_by(error);
    let copied = i64::try_from(copied).unwrap_or(i64::MAX);
    let name = format!("the lock of the event ids of queue `{queue}`");
    Lock::new(&name, sql::lock::IDS, &[(&queue, Type::TEXT)]).take(target)?;
    let values: [(&(dyn ToSql + Sync), Type); 2] = [(&queue, Type::TEXT), (&copied, Type::INT8)];
    target.query_typed(&sql::batch::move_ids(table), &values).map_err(failed).map(|_| ())
}

fn stream(reader: CopyOutReader<'_>, mut writer: CopyInWriter<'_>) -> Result<u64, BoxError> {
    match pump(reader, &mut writer) {
        Ok(()) => Ok(writer
            .finish()
            .map_err(|error| Error::failed("cannot write to the target").caused_by(error))?),
        Err(Broken::Source(error)) => {
            Err(Error::failed("cannot read from the source").caused_by(error).into())
        }
        // What the target has to say comes at the end of the conversation.
        Err(Broken::Target(error)) => {
            let error = writer.finish().err().map_or(error, Into::into);
            Err(Error::failed("cannot write to the target").caused_by(error).into())
        }
    }
}

/// Which side of a copy failed.
enum Broken {
    Source(BoxError),
    Target(BoxError),
}

fn pump(mut reader: CopyOutReader<'_>, writer: &mut CopyInWriter<'_>) -> Result<(), Broken> {
    let mut chunk = Vec::with_capacity(2 * CHUNK);
    loop {
        let row = reader.fill_buf().map_err(|error| Broken::Source(unwrap_io(error)))?;
        let length = row.len();
        if length > 0 && chunk.len() + length <= CHUNK {
            chunk.extend_from_slice(row);
        } else {
            let target = |error| Broken::Target(unwrap_io(error));
            writer.write_all(&chunk).map_err(target)?;
            chunk.clear();
            if length == 0 {
                return Ok(());
            }
            if length > CHUNK {
                writer.write_all(row).map_err(target)?;
            } else {
                chunk.extend_from_slice(row);
            }
        }
        reader.consume(length);
    }
}

/// Returns the table that takes a queue's new events, quoted, and the transaction's time.
///
/// Valid until the end of the transaction. PgQ: `pgq.current_event_table`.
pub(crate) fn event_table(
    client: &mut impl GenericClient,
    queue: &str,
) -> Result<(String, DateTime<Utc>), Error> {
    found_table(queue, client.query_typed_opt(sql::CURRENT_EVENT_TABLE, &[(&queue, Type::TEXT)]))
}

/// Returns what [`event_table`] does out of the answer to [`sql::CURRENT_EVENT_TABLE`].
pub(crate) fn found_table(
    queue: &str,
    answer: Result<Option<Row>, postgres::Error>,
) -> Result<(String, DateTime<Utc>), Error> {
    let row = answer
        .map_err(|error| Error::failed("cannot write to the queue").on_queue(queue).caused_by(error))?
        .ok_or_else(|| queue::no_queue(queue))?;
    Ok((row.get(0), row.get(1)))
}
