//! The source of a batch's events, in which the batch is also finished.

use std::vec::IntoIter;

use dbscript::param::Param;
use dbscript::{BoxError, Repeating, StatementCache, ready};
use postgres::{Client, GenericClient, IsolationLevel, Portal, Row, Transaction};

use crate::consume::finish::{Prepared, finish, tag};
use crate::consume::holder::BatchHolder;
use crate::consume::read::culprit;
use crate::consume::read::opening::{Opening, are_all};
use crate::consume::read::pages::Pages;
use crate::consume::read::rest::{self, Rest};
use crate::consume::tags::Tags;
use crate::error::Error;
use crate::event::stored_event::Event;
use crate::produce::copy::copy_batch;
use crate::sql::batch::Ids;

/// The source of a batch's events, in which the batch is also finished.
pub(crate) enum Source<'a> {
    /// A transaction that lasts as long as the batch. It holds the consumer's lock.
    Transaction { transaction: Transaction<'a>, reader: Reader },
    /// Each page is a transaction of its own, and between pages there is none.
    Autocommit { client: &'a mut Client, rest: Rest },
    /// No server: events of a test.
    Memory(IntoIter<Event>),
}

/// The server's side of reading: a portal that stands where the last page ended.
pub(crate) enum Reader {
    Unopened,
    Open(Portal),
    Exhausted,
}

/// Starts the transaction in which a batch is processed.
pub(crate) fn start_transaction(client: &mut Client) -> Result<Transaction<'_>, postgres::Error> {
    client.build_transaction().isolation_level(IsolationLevel::ReadCommitted).start()
}

impl Source<'_> {
    /// Runs a statement that returns one row.
    pub(crate) fn query_one(&mut self, statement: &str, values: &[Param<'_>]) -> Result<Row, BoxError> {
        match self {
            Source::Transaction { transaction, .. } => Ok(transaction.query_typed_one(statement, values)?),
            Source::Autocommit { client, .. } => Ok(client.query_typed_one(statement, values)?),
            Source::Memory(_) => Err("there is no server behind these events".into()),
        }
    }

    /// Reads the next page, behind so many events; an empty page is the end.
    pub(crate) fn fetch(
        &mut self,
        opening: &mut Opening,
        pages: &mut Pages,
        read: u64,
    ) -> Result<Vec<Row>, BoxError> {
        match self {
            Source::Transaction { transaction, reader } => reader.fetch(transaction, opening, pages),
            Source::Autocommit { client, rest } => fetch_alone(client, rest, opening, pages, read),
            Source::Memory(_) => Ok(Vec::new()),
        }
    }

    /// Streams all events into a queue of another database.
    pub(crate) fn copy_to(
        &mut self,
        opening: &mut Opening,
        target: &mut impl GenericClient,
        queue: &str,
        ids: Ids,
    ) -> Result<u64, BoxError> {
        let Opening { query: events, limits, .. } = opening;
        match self {
            Source::Transaction { transaction, .. } => {
                ready(limits.lift(transaction))?;
                let copied = copy_batch(transaction, events, target, queue, ids)
                    .map_err(|error| culprit::name(transaction, events, error))?;
                ready(limits.restore(transaction))?;
                Ok(copied)
            }
            Source::Autocommit { client, .. } => {
                let copied = match limits.are_set() {
                    true => copy_batch(&mut limits.unlimited(client)?, events, target, queue, ids),
                    false => copy_batch(&mut **client, events, target, queue, ids),
                };
                copied.map_err(|error| culprit::name(&mut **client, events, error))
            }
            Source::Memory(_) => Err("there is no server behind these events".into()),
        }
    }

    /// Sends tags before the end of the batch: in the batch's transaction, or in one of their own if the server takes
    /// them all at once.
    pub(crate) fn send(
        &mut self,
        opening: &mut Opening,
        tags: &mut Tags,
        holder: &BatchHolder,
    ) -> Result<(), Error> {
        match self {
            Source::Transaction { transaction, .. } => {
                ready(tag(transaction, opening, holder, tags))?;
                let failed = |error| Error::failed("cannot tag events").caused_by(error);
                ready(opening.limits.restore(transaction)).map_err(failed)?;
            }
            Source::Autocommit { client, .. } if opening.tags_many => {
                let failed = |error| Error::failed("cannot tag events").caused_by(error);
                let mut transaction = client.transaction().map_err(failed)?;
                ready(tag(&mut transaction, opening, holder, tags))?;
                transaction.commit().map_err(failed)?;
            }
            Source::Autocommit { .. } | Source::Memory(_) => return Ok(()),
        }
        tags.forget_sent();
        Ok(())
    }

    /// Sends tags, finishes the batch, and commits; returns how many batches were finished. `kept` are the prepared
    /// statements of the session if no handler has used it.
    pub(crate) fn finish(
        self,
        opening: &Opening,
        holder: &BatchHolder,
        tags: &Tags,
        kept: Option<&StatementCache>,
    ) -> Result<i32, Error> {
        let mut transaction = match self {
            // The portal goes while its transaction lives.
            Source::Transaction { transaction, reader } => {
                drop(reader);
                transaction
            }
            Source::Autocommit { client, .. } => client
                .transaction()
                .map_err(|error| Error::failed("cannot start a transaction").caused_by(error))?,
            Source::Memory(_) => return Ok(1),
        };
        let finished = match kept {
            Some(kept) => {
                let mut session = Repeating::new(&mut transaction, kept);
                ready(finish(&mut session, opening, holder, tags, Prepared::Kept))
            }
            None => ready(finish(&mut transaction, opening, holder, tags, Prepared::Uncertain)),
        }?;
        if finished == 1 {
            let failed = |error| Error::failed("cannot commit the batch").caused_by(error);
            transaction.commit().map_err(failed)?;
        }
        Ok(finished)
    }
}

/// The columns of an event as it is read.
pub(crate) const READ_COLUMNS: &str =
    "ev_id, ev_time, ev_txid, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4";

/// Makes the query that reads a batch's events, as the server put it together.
pub(crate) fn events_statement(batch_events: &str) -> String {
    format!("select {READ_COLUMNS} from ({batch_events}) batch order by ev_id")
}

impl Reader {
    fn fetch(
        &mut self,
        transaction: &mut Transaction<'_>,
        opening: &mut Opening,
        pages: &mut Pages,
    ) -> Result<Vec<Row>, BoxError> {
        let is_first = matches!(self, Reader::Unopened);
        if is_first {
            ready(opening.limits.lift(transaction))?;
            if let Some(statement) = opening.few_events(pages) {
                let rows = transaction.query_typed(&statement, &[])?;
                if are_all(&rows) {
                    ready(opening.limits.restore(transaction))?;
                    *self = Reader::Exhausted;
                    return Ok(rows);
                }
            }
            let statement = transaction.prepare_typed(&events_statement(&opening.query), &[])?;
            *self = Reader::Open(transaction.bind(&statement, &[])?);
        }
        let Reader::Open(portal) = self else {
            return Ok(Vec::new());
        };
        let rows = transaction.query_portal(portal, pages.rows())?;
        // When there is a first row, all are sorted.
        if is_first {
            ready(opening.limits.restore(transaction))?;
        }
        if pages.end_with(&rows) {
            *self = Reader::Exhausted;
        }
        Ok(rows)
    }
}

/// Reads the next page where no transaction is open.
fn fetch_alone(
    client: &mut Client,
    rest: &mut Rest,
    opening: &Opening,
    pages: &mut Pages,
    read: u64,
) -> Result<Vec<Row>, BoxError> {
    let fetched = ready(rest::fetch(*rest, client, opening, pages, read));
    if fetched.is_err() && rest.begins(opening, read) {
        // The error says more than that of its end.
        let _ = client.batch_execute("rollback");
    }
    let (rows, left) = fetched?;
    if (*rest, left) == (Rest::Kept, Rest::Nothing) {
        client.batch_execute(rest::CLOSE)?;
    }
    *rest = left;
    Ok(rows)
}
