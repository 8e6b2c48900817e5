//! COPY from one database into another, without parsing the rows.

use std::io::{BufRead, Write};

use chrono::{DateTime, Utc};
use postgres::{CopyInWriter, CopyOutReader, GenericClient, Row};

use crate::admin::queue_lookup;
use crate::error::{At, Error, unwrap_io};
use crate::lock::Lock;
use crate::produce::encoding;
use crate::schema;
use crate::sql;
use crate::sql::batch::{EVENT_COLUMNS, Ids};
use dbscript::BoxError;
use dbscript::param::{boolean, int8, text};

/// The size in which rows are forwarded, in bytes. Larger pieces only delay the target.
const CHUNK: usize = 32 * 1024;

/// Copies the events of a batch into a queue; returns their number.
///
/// The target's table is read after the source has sorted the batch: from then on, the transaction delays a rotation of
/// the target.
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

/// Makes the statement that streams a batch's events out, with their ids if the target keeps them.
fn copy_out(batch_events: &str, ids: Ids) -> String {
    let id = ids.column();
    format!(
        "copy (select {id}{EVENT_COLUMNS} from ({batch_events}) batch order by ev_id) to stdout (format binary)"
    )
}

/// As [`copy_batch`], with the encoding in which the source sends, if it is not UTF-8.
fn copy_rows(
    source: &mut impl GenericClient,
    batch_events: &str,
    target: &mut impl GenericClient,
    queue: &str,
    (ids, encoding): (Ids, Option<&str>),
) -> Result<u64, BoxError> {
    let mut reader = source.copy_out(&*copy_out(batch_events, ids)).map_err(unread)?;
    reader.fill_buf().map_err(|error| unread(unwrap_io(error)))?;
    // The table is the right one for this transaction only. Within the caller's transaction, this is a savepoint.
    let mut transaction = target.transaction()?;
    let EventTable { table, statement_timeout, .. } =
        event_table(&mut transaction, queue, TransactionUse::BatchCopy)?;
    let copied = encoding::within(&mut transaction, encoding, |target| {
        stream(reader, target.copy_in(&*sql::batch::copy_in(&table, ids))?)
    })?;
    if ids == Ids::Kept && copied > 0 {
        move_ids(&mut transaction, queue, &table, copied)?;
    }
    if let Some(before) = statement_timeout.filter(|limit| limit != "0") {
        transaction.query_typed(sql::batch::LIMIT_STATEMENTS, &[text(&before)])?;
    }
    transaction.commit()?;
    Ok(copied)
}

/// $1 queue. The key of the lock of a transaction that advances the queue's sequence of event ids.
const IDS: &str = "pg_catalog.hashtextextended( \
     pg_catalog.format('pgq ids %L', $1::pg_catalog.text), 0::pg_catalog.int8)";

/// Makes the statement that advances a queue's sequence of event ids by the number of events that this transaction has
/// written, so that the ticker counts them, and at least to the highest of their ids. The name of the table is already
/// quoted. $1 queue, $2 number of events.
fn move_ids_statement(table: &str) -> String {
    format!(
        "select pg_catalog.setval(pgq.quote_fqname(queue_event_seq)::pg_catalog.regclass, \
             greatest(pgq.seq_getval(queue_event_seq) + $2, (select pg_catalog.max(ev_id) from {table} \
                 where ev_txid = pg_catalog.txid_current()))) \
         from pgq.queue where queue_name = $1"
    )
}

/// Advances the target's sequence of event ids past the copied ids.
fn move_ids(target: &mut impl GenericClient, queue: &str, table: &str, copied: u64) -> Result<(), Error> {
    let failed = |error| At::queue(queue).failed("cannot move the sequence of event ids", error);
    let copied = i64::try_from(copied).unwrap_or(i64::MAX);
    let name = format!("the lock of the event ids of queue `{queue}`");
    Lock::new(&name, IDS, &[text(&queue)]).take(target)?;
    let values = [text(&queue), int8(&copied)];
    target.query_typed(&move_ids_statement(table), &values).map_err(failed).map(|_| ())
}

fn stream(reader: CopyOutReader<'_>, mut writer: CopyInWriter<'_>) -> Result<u64, BoxError> {
    match pump(reader, &mut writer) {
        Ok(()) => Ok(writer
            .finish()
            .map_err(|error| Error::failed("cannot write to the target").caused_by(error))?),
        Err(Broken::Source(error)) => Err(unread(error).into()),
        // The target reports its error when the COPY ends.
        Err(Broken::Target(error)) => {
            let error = writer.finish().err().map_or(error, Into::into);
            Err(Error::failed("cannot write to the target").caused_by(error).into())
        }
    }
}

fn unread(error: impl Into<BoxError>) -> Error {
    Error::failed("cannot read from the source").caused_by(error)
}

/// The side of a copy that failed.
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

/// The transaction that writes events into a queue by COPY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TransactionUse {
    /// It may do other things, so its settings stay.
    Shared,
    /// It only writes events: the role's timeouts are lifted.
    Dedicated,
    /// It copies a batch that is finished after the commit: as `Dedicated`, and the commit waits for the disk.
    BatchCopy,
}

impl TransactionUse {
    /// Returns the values of [`sql::CURRENT_EVENT_TABLE`] behind the queue.
    pub(crate) fn settings(self) -> [bool; 2] {
        [self != TransactionUse::Shared, self == TransactionUse::BatchCopy]
    }
}

/// The table of a queue's new events in this transaction.
pub(crate) struct EventTable {
    /// The table, quoted.
    pub(crate) table: String,
    /// The transaction's time.
    pub(crate) now: DateTime<Utc>,
    /// The `statement_timeout` before it was lifted, if it was.
    pub(crate) statement_timeout: Option<String>,
}

/// Returns the table of a queue's new events, and lifts the timeouts that `transaction_use` lifts.
///
/// The table is the right one until the end of the transaction, which gets its id here. PgQ: `pgq.current_event_table`.
pub(crate) fn event_table(
    client: &mut impl GenericClient,
    queue: &str,
    transaction_use: TransactionUse,
) -> Result<EventTable, Error> {
    if transaction_use == TransactionUse::Shared {
        let answer = client.query_typed_opt(sql::EVENT_TABLE_READ_COMMITTED, &[text(&queue)]);
        if let Some(found) = found_read_committed(queue, answer)? {
            return Ok(found);
        }
    }
    let [lifts, waits] = transaction_use.settings();
    let values = [text(&queue), boolean(&lifts), boolean(&waits)];
    match found_table(queue, client.query_typed_opt(sql::CURRENT_EVENT_TABLE, &values))? {
        Some(found) => Ok(found),
        None => Err(rotated(queue, client.batch_execute(&sql::rotated(queue)))),
    }
}

/// Reads the answer to [`sql::EVENT_TABLE_READ_COMMITTED`]; `None` if the transaction keeps its snapshot.
pub(crate) fn found_read_committed(
    queue: &str,
    answer: Result<Option<Row>, postgres::Error>,
) -> Result<Option<EventTable>, Error> {
    let row = row_of_queue(queue, answer)?;
    let found = |table| EventTable { table, now: row.get(1), statement_timeout: None };
    Ok(row.get::<_, Option<String>>(0).map(found))
}

fn row_of_queue(queue: &str, answer: Result<Option<Row>, postgres::Error>) -> Result<Row, Error> {
    answer
        .map_err(|error| schema::failed_or_missing("cannot write to the queue", error).on_queue(queue))?
        .ok_or_else(|| queue_lookup::missing_queue(queue))
}

/// Reads the answer to [`sql::CURRENT_EVENT_TABLE`]; `None` if the queue's tables were rotated after the transaction's
/// snapshot.
pub(crate) fn found_table(
    queue: &str,
    answer: Result<Option<Row>, postgres::Error>,
) -> Result<Option<EventTable>, Error> {
    let row = row_of_queue(queue, answer)?;
    let found = || EventTable { table: row.get(0), now: row.get(1), statement_timeout: row.get(3) };
    Ok((!row.get::<_, bool>(2)).then(found))
}

/// Makes the error of a rotation after the transaction's snapshot from the answer to [`sql::rotated`].
pub(crate) fn rotated(queue: &str, answer: Result<(), impl Into<BoxError>>) -> Error {
    let cause = match answer {
        Ok(()) => "the queue's tables were rotated after the transaction's snapshot".into(),
        Err(answer) => answer.into(),
    };
    At::queue(queue).failed("cannot write to the queue", cause)
}
