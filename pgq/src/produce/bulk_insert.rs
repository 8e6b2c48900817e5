//! Inserts events by COPY, one after the other.

use chrono::{DateTime, Utc};
use dbscript::param::text;
use postgres::binary_copy::BinaryCopyInWriter;
use postgres::types::{ToSql, Type};
use postgres::{GenericClient, Transaction};

use crate::error::{At, Error};
use crate::event::new_event::NewEvent;
use crate::produce::{copy, delayed};
use crate::sql;
use crate::time::Time;

/// The types of [`sql::batch::EVENT_COLUMNS`].
pub(crate) const TYPES: [Type; 7] =
    [Type::TEXT, Type::TEXT, Type::TEXT, Type::TEXT, Type::TEXT, Type::TEXT, Type::TIMESTAMPTZ];

/// Streams events into a queue by COPY. Skytools: `pgq.bulk_insert_events`.
///
/// If it is dropped before [`finish`](BulkInsert::finish), the transaction fails. The role needs the right to `INSERT`
/// into the event table.
pub struct BulkInsert<'a> {
    writer: BinaryCopyInWriter<'a>,
    queue: String,
    now: DateTime<Utc>,
}

impl<'a> BulkInsert<'a> {
    /// Starts a COPY. The events belong to the transaction.
    ///
    /// # Errors
    ///
    /// When the queue does not exist or is disabled, and when the server fails.
    pub fn start(transaction: &'a mut Transaction<'_>, queue: &str) -> Result<BulkInsert<'a>, Error> {
        BulkInsert::start_with(transaction, queue, copy::TransactionUse::Shared)
    }

    /// Requires that the role may insert into a queue's tables, which is the right of a `BulkInsert` and of the copies of
    /// [`Events`](crate::Events). Members of `pgq_admin` have it, members of `pgq_writer` do not.
    ///
    /// # Errors
    ///
    /// When the right is missing. The error contains the necessary `GRANT` statements.
    pub fn require_right(client: &mut impl GenericClient, queue: &str) -> Result<(), Error> {
        require_right(client, queue)
    }

    /// As [`start`](BulkInsert::start), in a transaction that does nothing else: the role's timeouts are lifted.
    pub(crate) fn start_alone(
        transaction: &'a mut Transaction<'_>,
        queue: &str,
    ) -> Result<BulkInsert<'a>, Error> {
        BulkInsert::start_with(transaction, queue, copy::TransactionUse::Dedicated)
    }

    fn start_with(
        transaction: &'a mut Transaction<'_>,
        queue: &str,
        transaction_use: copy::TransactionUse,
    ) -> Result<BulkInsert<'a>, Error> {
        let copy::EventTable { table, now, .. } = copy::event_table(transaction, queue, transaction_use)?;
        let writer = transaction
            .copy_in(&*sql::batch::copy_in(&table, sql::batch::Ids::New))
            .map_err(|error| failed(queue, error))?;
        Ok(BulkInsert { writer: BinaryCopyInWriter::new(writer, &TYPES), queue: queue.to_owned(), now })
    }

    /// Writes an event. Events are sent in groups, so an error may belong to an earlier event.
    ///
    /// # Errors
    ///
    /// When the server fails, and for a [delayed](NewEvent::at) event ([`ErrorKind::Usage`](crate::ErrorKind::Usage)).
    pub fn write(&mut self, event: &NewEvent<'_>) -> Result<(), Error> {
        if event.at.is_some() {
            return Err(delayed::refused(&self.queue));
        }
        let time = Time(event.time.unwrap_or(self.now));
        self.writer.write(&row(event, &time)).map_err(|error| failed(&self.queue, error))
    }

    /// Ends the COPY; returns the number of events.
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

/// $1 queue. Returns the role, quoted, and the rights that it lacks for COPY into the queue's tables, each as the
/// middle of a GRANT statement.
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

/// Requires that the role may write into a queue's tables. The error contains the missing grants.
pub(crate) fn require_right(client: &mut impl GenericClient, queue: &str) -> Result<(), Error> {
    let failed = |error| At::queue(queue).failed("cannot read the rights of the role", error);
    let row = client.query_typed_opt(MISSING_RIGHTS, &[text(&queue)]).map_err(failed)?;
    let (role, missing): (String, Vec<String>) = match &row {
        Some(row) => (row.get(0), row.get(1)),
        None => return Ok(()),
    };
    if missing.is_empty() {
        return Ok(());
    }
    let grants: Vec<String> = missing.iter().map(|what| format!("grant {what} to {role}")).collect();
    let grants = grants.join("; ");
    let what = format!("role `{role}` may not insert into the queue's tables; run `{grants}`");
    Err(At::queue(queue).failure(what))
}

pub(crate) fn failed(queue: &str, error: postgres::Error) -> Error {
    At::queue(queue).failed("cannot insert events", error)
}
