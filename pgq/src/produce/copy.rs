//! The bulk path: COPY out of one database into another, without looking at a row.

use crate::sql::batch::EVENT_COLUMNS;
use std::io::{BufRead, Write};

use chrono::{DateTime, Utc};
use postgres::types::{ToSql, Type};
use postgres::{CopyInWriter, CopyOutReader, GenericClient, Row};

use crate::admin::queue_lookup;
use crate::error::{Error, unwrap_io};
use crate::lock::Lock;
use crate::produce::encoding;
use crate::sql;
use dbscript::BoxError;

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
///
/// The target is asked for its table when the source has sorted the batch, since the answer holds up a rotation there.
pub(crate) fn copy_batch(
    source: &mut impl GenericClient,
    batch_events: &str,
    target: &mut impl GenericClient,
    queue: &str,
    ids: Ids,
) -> Result<u64, BoxError> {
    let encoding = encoding::common(source, target)?;
    // The statement itself is UTF-8.
    let Some(encoding) = encoding.filter(|_| batch_events.is_ascii()) else {
        return copy_rows(source, batch_events, target, queue, (ids, None));
    };
    let mut source = encoding::begin(source, &encoding)?;
    let copied = copy_rows(&mut source, batch_events, target, queue, (ids, Some(&encoding)))?;
    encoding::end(source)?;
    Ok(copied)
}

/// Makes the statement that streams a batch's events out, with their ids or without.
fn copy_out(batch_events: &str, ids: bool) -> String {
    let id = if ids { "ev_id, " } else { "" };
    format!(
        "copy (select {id}{EVENT_COLUMNS} from ({batch_events}) batch order by ev_id) to stdout (format binary)"
    )
}

/// Copies as [`copy_batch`] does; with an encoding, that is the one in which the source sends.
fn copy_rows(
    source: &mut impl GenericClient,
    batch_events: &str,
    target: &mut impl GenericClient,
    queue: &str,
    (ids, encoding): (Ids, Option<&str>),
) -> Result<u64, BoxError> {
    let keeps = ids == Ids::Kept;
    let mut reader = source.copy_out(&*copy_out(batch_events, keeps)).map_err(unread)?;
    reader.fill_buf().map_err(|error| unread(unwrap_io(error)))?;
    // The answer which table it is holds for one transaction. Within the caller's this is a savepoint.
    let mut transaction = target.transaction()?;
    let Target { table, statement_timeout, .. } = event_table(&mut transaction, queue, Writer::Copy)?;
    let copied = encoding::within(&mut transaction, encoding, |target| {
        stream(reader, target.copy_in(&*sql::batch::copy_in(&table, keeps))?)
    })?;
    if keeps && copied > 0 {
        move_ids(&mut transaction, queue, &table, copied)?;
    }
    if let Some(before) = statement_timeout.filter(|limit| limit != "0") {
        transaction.query_typed(sql::batch::LIMIT_STATEMENTS, &[(&before, Type::TEXT)])?;
    }
    transaction.commit()?;
    Ok(copied)
}

/// $1 queue. The key of whoever moves the queue's sequence of ids, until it commits.
const IDS: &str = "pg_catalog.hashtextextended( \
     pg_catalog.format('pgq ids %L', $1::pg_catalog.text), 0::pg_catalog.int8)";

/// Makes the statement that moves a queue's sequence of ids behind those that this transaction has written into a
/// table, whose name is quoted already, and by as many as there are, so that the ticker sees them. $1 queue,
/// $2 how many there are.
fn move_ids_statement(table: &str) -> String {
    format!(
        "select pg_catalog.setval(pgq.quote_fqname(queue_event_seq)::pg_catalog.regclass, \
             greatest(pgq.seq_getval(queue_event_seq) + $2, (select pg_catalog.max(ev_id) from {table} \
                 where ev_txid = pg_catalog.txid_current()))) \
         from pgq.queue where queue_name = $1"
    )
}

/// The target's own ids go on behind the ones that came.
fn move_ids(target: &mut impl GenericClient, queue: &str, table: &str, copied: u64) -> Result<(), Error> {
    let failed =
        |error| Error::failed("cannot move the sequence of event ids").on_queue(queue).caused_by(error);
    let copied = i64::try_from(copied).unwrap_or(i64::MAX);
    let name = format!("the lock of the event ids of queue `{queue}`");
    Lock::new(&name, IDS, &[(&queue, Type::TEXT)]).take(target)?;
    let values: [(&(dyn ToSql + Sync), Type); 2] = [(&queue, Type::TEXT), (&copied, Type::INT8)];
    target.query_typed(&move_ids_statement(table), &values).map_err(failed).map(|_| ())
}

fn stream(reader: CopyOutReader<'_>, mut writer: CopyInWriter<'_>) -> Result<u64, BoxError> {
    match pump(reader, &mut writer) {
        Ok(()) => Ok(writer
            .finish()
            .map_err(|error| Error::failed("cannot write to the target").caused_by(error))?),
        Err(Broken::Source(error)) => Err(unread(error).into()),
        // What the target has to say comes at the end of the conversation.
        Err(Broken::Target(error)) => {
            let error = writer.finish().err().map_or(error, Into::into);
            Err(Error::failed("cannot write to the target").caused_by(error).into())
        }
    }
}

fn unread(error: impl Into<BoxError>) -> Error {
    Error::failed("cannot read from the source").caused_by(error)
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

/// Who writes events into a queue by COPY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writer {
    /// A transaction that may do other things: it keeps its settings.
    Shared,
    /// A transaction that only writes events: the role's limits on its time are lifted.
    Alone,
    /// A copy of a batch that is finished after the commit: as `Alone`, and the commit waits for the disk.
    Copy,
}

impl Writer {
    /// Returns the values of [`sql::CURRENT_EVENT_TABLE`] behind the queue.
    pub(crate) fn settings(self) -> [bool; 2] {
        [self != Writer::Shared, self == Writer::Copy]
    }
}

/// Where a queue's new events go in this transaction.
pub(crate) struct Target {
    /// The table, quoted.
    pub(crate) table: String,
    /// The transaction's time.
    pub(crate) now: DateTime<Utc>,
    /// The limit on each statement before it was lifted, if it was.
    pub(crate) statement_timeout: Option<String>,
}

/// Returns where a queue's new events go, and sets for the rest of the transaction what its writer needs.
///
/// Valid until the end of the transaction, which has its id from here on. PgQ: `pgq.current_event_table`.
pub(crate) fn event_table(
    client: &mut impl GenericClient,
    queue: &str,
    writer: Writer,
) -> Result<Target, Error> {
    let [lifts, waits] = writer.settings();
    let values: [(&(dyn ToSql + Sync), Type); 3] =
        [(&queue, Type::TEXT), (&lifts, Type::BOOL), (&waits, Type::BOOL)];
    match found_table(queue, client.query_typed_opt(sql::CURRENT_EVENT_TABLE, &values))? {
        Some(found) => Ok(found),
        None => Err(rotated(queue, client.batch_execute(&sql::rotated(queue)))),
    }
}

/// Returns what [`event_table`] does out of the answer to [`sql::CURRENT_EVENT_TABLE`]; `None`: the queue's tables were
/// rotated after the transaction's snapshot.
pub(crate) fn found_table(
    queue: &str,
    answer: Result<Option<Row>, postgres::Error>,
) -> Result<Option<Target>, Error> {
    let row = answer
        .map_err(|error| Error::failed("cannot write to the queue").on_queue(queue).caused_by(error))?
        .ok_or_else(|| queue_lookup::missing_queue(queue))?;
    let found = || Target { table: row.get(0), now: row.get(1), statement_timeout: row.get(3) };
    Ok((!row.get::<_, bool>(2)).then(found))
}

/// Makes an error of the answer to [`sql::rotated`].
pub(crate) fn rotated(queue: &str, answer: Result<(), postgres::Error>) -> Error {
    let error = Error::failed("cannot write to the queue").on_queue(queue);
    match answer {
        Ok(()) => error.caused_by("the queue's tables were rotated after the transaction's snapshot"),
        Err(answer) => error.caused_by(answer),
    }
}
