//! Inserting events by COPY, one after the other.

use chrono::{DateTime, Utc};
use postgres::binary_copy::BinaryCopyInWriter;
use postgres::types::{ToSql, Type};
use postgres::{GenericClient, Transaction};

use crate::error::Error;
use crate::event::new_event::NewEvent;
use crate::produce::copy;
use crate::sql;
use crate::time::Time;

/// The types of [`sql::batch::EVENT_COLUMNS`].
pub(crate) const TYPES: [Type; 7] =
    [Type::TEXT, Type::TEXT, Type::TEXT, Type::TEXT, Type::TEXT, Type::TEXT, Type::TIMESTAMPTZ];

/// Writes events into a queue by COPY, without keeping them. Skytools: `pgq.bulk_insert_events`.
///
/// Dropped before it is [finished](BulkInsert::finish), it makes the transaction fail. Writing to the event
/// table takes the right to `INSERT` into it.
pub struct BulkInsert<'a> {
    writer: BinaryCopyInWriter<'a>,
    queue: String,
    now: DateTime<Utc>,
}

impl<'a> BulkInsert<'a> {
    /// Starts writing. The events belong to the transaction.
    ///
    /// # Errors
    ///
    /// When the queue does not exist or takes no events, and when the server fails.
    pub fn start(transaction: &'a mut Transaction<'_>, queue: &str) -> Result<BulkInsert<'a>, Error> {
        BulkInsert::start_with(transaction, queue, copy::Writer::Shared)
    }

    /// As [`start`](BulkInsert::start) in a transaction that does nothing else, without the role's limits on its time.
    pub(crate) fn start_alone(
        transaction: &'a mut Transaction<'_>,
        queue: &str,
    ) -> Result<BulkInsert<'a>, Error> {
        BulkInsert::start_with(transaction, queue, copy::Writer::Alone)
    }

    fn start_with(
        transaction: &'a mut Transaction<'_>,
        queue: &str,
        writer: copy::Writer,
    ) -> Result<BulkInsert<'a>, Error> {
        let copy::Target { table, now, .. } = copy::event_table(transaction, queue, writer)?;
        let writer = transaction
            .copy_in(&*sql::batch::copy_in(&table, false))
            .map_err(|error| failed(queue, error))?;
        Ok(BulkInsert { writer: BinaryCopyInWriter::new(writer, &TYPES), queue: queue.to_owned(), now })
    }

    /// Writes an event. It is sent with others, so an error may belong to an earlier one.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub fn write(&mut self, event: &NewEvent<'_>) -> Result<(), Error> {
        let time = Time(event.time.unwrap_or(self.now));
        self.writer.write(&row(event, &time)).map_err(|error| failed(&self.queue, error))
    }

    /// Ends writing; returns how many events there were.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub fn finish(self) -> Result<u64, Error> {
        self.writer.finish().map_err(|error| failed(&self.queue, error))
    }
}

/// Returns the values of [`sql::batch::EVENT_COLUMNS`].
pub(crate) fn row<'a>(event: &'a NewEvent<'_>, time: &'a Time) -> [&'a (dyn ToSql + Sync); 7] {
    let [extra1, extra2, extra3, extra4] = &event.extra;
    [&event.event_type, &event.data, extra1, extra2, extra3, extra4, time]
}

/// $1 queue. The role, quoted, and what it lacks for COPY into the queue's tables, as the middle of GRANT statements.
const MISSING_RIGHTS: &str = "select pg_catalog.quote_ident(current_user), pg_catalog.array_remove(array[ \
         case when not pg_catalog.has_function_privilege('pgq.current_event_table(pg_catalog.text)', 'execute') \
             then 'execute on function pgq.current_event_table(text)' end, \
         (select 'insert on ' || pg_catalog.string_agg(name, ', ' order by number) \
             from pg_catalog.generate_series(0, queue_ntables - 1) number \
             cross join lateral (select pgq.quote_fqname(queue_data_pfx || '_' || number::pg_catalog.text)) named (name) \
             where not pg_catalog.has_table_privilege(pg_catalog.to_regclass(name)::pg_catalog.oid, 'insert')), \
         case when not pg_catalog.has_sequence_privilege(pg_catalog.to_regclass(pgq.quote_fqname(queue_event_seq))::pg_catalog.oid, 'usage') \
             then 'usage on sequence ' || pgq.quote_fqname(queue_event_seq) end], null) \
     from pgq.queue where queue_name = $1";

/// Fails when the role may not write into a queue's tables, with what would let it.
pub(crate) fn require_right(client: &mut impl GenericClient, queue: &str) -> Result<(), Error> {
    let failed = |error| Error::failed("cannot look for rights").on_queue(queue).caused_by(error);
    let row = client.query_typed_opt(MISSING_RIGHTS, &[(&queue, Type::TEXT)]).map_err(failed)?;
    let (role, missing): (String, Vec<String>) = match &row {
        Some(row) => (row.get(0), row.get(1)),
        None => return Ok(()),
    };
    if missing.is_empty() {
        return Ok(());
    }
    let grants: Vec<String> = missing.iter().map(|what| format!("grant {what} to {role}")).collect();
    let grants = grants.join("; ");
    Err(Error::failed(format!("role `{role}` may not insert into the queue's tables; `{grants}` lets it"))
        .on_queue(queue))
}

pub(crate) fn failed(queue: &str, error: postgres::Error) -> Error {
    Error::failed("cannot insert events").on_queue(queue).caused_by(error)
}
