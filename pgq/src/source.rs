//! Where the events of a batch come from, and where the batch is finished.

use std::vec::IntoIter;

use postgres::types::{ToSql, Type};
use postgres::{Client, GenericClient, IsolationLevel, Portal, Row, Transaction};

use crate::copy::{Ids, copy_batch};
use crate::events::Member;
use crate::lock::{self, Lock};
use crate::pages::Pages;
use crate::tags::Tags;
use crate::{BoxError, Error, Event, sql};

type Values<'v> = [(&'v (dyn ToSql + Sync), Type)];

/// Where the events of a batch come from, and where the batch is finished.
pub(crate) enum Source<'a> {
    /// A transaction that lasts as long as the batch. It holds the consumer's lock.
    Transaction { transaction: Transaction<'a>, reader: Reader },
    /// Each page is a transaction of its own, and between pages there is none.
    Autocommit { client: &'a mut Client, place: Place },
    /// No server: events of a test.
    Memory(IntoIter<Event>),
}

/// The server's side of reading: a portal that stands where the last page ended.
pub(crate) enum Reader {
    Unopened {
        /// The memory that statements had before more was lent to the sorting of the batch, if it was.
        work_mem: Option<String>,
    },
    Open(Portal),
    Exhausted,
}

/// The event behind which the next page begins: its id and transaction; `None` at the end.
pub(crate) type Place = Option<(i64, i64)>;

impl<'a> Source<'a> {
    /// Starts the transaction in which a batch is processed.
    pub(crate) fn transaction(client: &'a mut Client) -> Result<Source<'a>, postgres::Error> {
        let transaction =
            client.build_transaction().isolation_level(IsolationLevel::ReadCommitted).start()?;
        Ok(Source::Transaction { transaction, reader: Reader::Unopened { work_mem: None } })
    }

    /// Notes the memory that statements had before more was lent to the sorting of the batch, to be set back then.
    pub(crate) fn lent(&mut self, before: Option<String>) {
        if let Source::Transaction { reader, .. } = self {
            *reader = Reader::Unopened { work_mem: before };
        }
    }

    /// Reads without a transaction that lasts.
    pub(crate) fn autocommit(client: &'a mut Client) -> Source<'a> {
        Source::Autocommit { client, place: Some((i64::MIN, i64::MIN)) }
    }

    /// Runs a statement that returns one row.
    pub(crate) fn query_one(&mut self, statement: &str, values: &Values<'_>) -> Result<Row, BoxError> {
        match self {
            Source::Transaction { transaction, .. } => Ok(transaction.query_typed_one(statement, values)?),
            Source::Autocommit { client, .. } => Ok(client.query_typed_one(statement, values)?),
            Source::Memory(_) => Err("there is no server behind these events".into()),
        }
    }

    /// Makes the error of a batch whose consumer's lock another process has.
    pub(crate) fn busy(&mut self, queue: &str, name: &str) -> Result<Error, Error> {
        let holders = match self {
            Source::Transaction { transaction, .. } => lock::consumer_holders(transaction, queue, name)?,
            Source::Autocommit { client, .. } => lock::consumer_holders(&mut **client, queue, name)?,
            Source::Memory(_) => Vec::new(),
        };
        Ok(lock::busy(&holders, name))
    }

    /// Reads the next page of the events that a query of the server describes; an empty page is the end.
    pub(crate) fn fetch(&mut self, events: &str, pages: &mut Pages) -> Result<Vec<Row>, BoxError> {
        match self {
            Source::Transaction { transaction, reader } => reader.fetch(transaction, events, pages),
            Source::Autocommit { client, place } => fetch_behind(client, place, events, pages),
            Source::Memory(_) => Ok(Vec::new()),
        }
    }

    /// Streams all events into a queue of another database.
    pub(crate) fn copy_to(
        &mut self,
        events: &str,
        target: &mut impl GenericClient,
        queue: &str,
        ids: Ids,
    ) -> Result<u64, BoxError> {
        match self {
            Source::Transaction { transaction, .. } => copy_batch(transaction, events, target, queue, ids),
            Source::Autocommit { client, .. } => copy_batch(&mut **client, events, target, queue, ids),
            Source::Memory(_) => Err("there is no server behind these events".into()),
        }
    }

    /// Sends tags before the end of the batch: in the batch's transaction, or in one of their own if the server takes
    /// them all at once.
    pub(crate) fn send(&mut self, tags: &mut Tags, batch: i64, at_once: bool) -> Result<(), Error> {
        match self {
            Source::Transaction { transaction, .. } => tags.send(transaction, batch, at_once)?,
            Source::Autocommit { client, .. } if at_once => {
                let failed = |error| Error::failed("cannot tag events").caused_by(error);
                let mut transaction = client.transaction().map_err(failed)?;
                tags.send(&mut transaction, batch, at_once)?;
                transaction.commit().map_err(failed)?;
            }
            Source::Autocommit { .. } | Source::Memory(_) => return Ok(()),
        }
        tags.forget_sent();
        Ok(())
    }

    /// Sends tags, finishes the batch, and commits; returns how many batches were finished.
    pub(crate) fn finish(self, end: &End<'_>, tags: &Tags, at_once: bool) -> Result<i32, Error> {
        let failed = |what: &str, error: BoxError| Error::failed(what).caused_by(error);
        let mut transaction = match self {
            // The portal goes while its transaction lives.
            Source::Transaction { transaction, reader } => {
                drop(reader);
                transaction
            }
            Source::Autocommit { client, .. } => {
                client.transaction().map_err(|error| failed("cannot start a transaction", error.into()))?
            }
            Source::Memory(_) => return Ok(1),
        };
        tags.send(&mut transaction, end.batch, at_once)?;
        let finished =
            end.reach(&mut transaction).map_err(|error| failed("cannot finish the batch", error))?;
        if finished == 1 {
            transaction.commit().map_err(|error| failed("cannot commit the batch", error.into()))?;
        }
        Ok(finished)
    }
}

/// How a batch is finished.
pub(crate) struct End<'e> {
    pub(crate) finish: &'static str,
    pub(crate) queue: &'e str,
    /// Whose it has to be.
    pub(crate) member: Option<Member>,
    pub(crate) batch: i64,
}

impl End<'_> {
    /// Finishes the batch; returns how many were finished.
    fn reach(&self, transaction: &mut Transaction<'_>) -> Result<i32, BoxError> {
        if let Some(member) = &self.member {
            // The server finishes a batch whoever has it, so nobody may take it over from here on. A row lock would need
            // the right to update.
            let values: [(&(dyn ToSql + Sync), Type); 2] =
                [(&self.queue, Type::TEXT), (&member.consumer, Type::TEXT)];
            let name = format!("the lock of batches of consumer `{}`", member.consumer);
            Lock::new(&name, sql::lock::FINISH, &values).shared().take(transaction)?;
            let values: [(&(dyn ToSql + Sync), Type); 3] =
                [(&self.batch, Type::INT8), (&self.queue, Type::TEXT), (&member.name, Type::TEXT)];
            if !transaction.query_typed_one(sql::batch::HAS_BATCH, &values)?.get::<_, bool>(0) {
                return Ok(0);
            }
        }
        Ok(transaction.query_typed_one(self.finish, &[(&self.batch, Type::INT8)])?.get(0))
    }
}

impl Reader {
    fn fetch(
        &mut self,
        transaction: &mut Transaction<'_>,
        events: &str,
        pages: &mut Pages,
    ) -> Result<Vec<Row>, BoxError> {
        let mut lent = None;
        if let Reader::Unopened { work_mem } = self {
            lent = work_mem.take();
            let statement = transaction.prepare_typed(&sql::batch::events(events), &[])?;
            *self = Reader::Open(transaction.bind(&statement, &[])?);
        }
        let Reader::Open(portal) = self else {
            return Ok(Vec::new());
        };
        let rows = transaction.query_portal(portal, pages.rows())?;
        // When there is a first row, all are sorted.
        if let Some(before) = lent {
            transaction.query_typed(sql::batch::SET_WORK_MEM, &[(&before, Type::TEXT)])?;
        }
        if pages.end_with(&rows) {
            *self = Reader::Exhausted;
        }
        Ok(rows)
    }
}

fn fetch_behind(
    client: &mut Client,
    place: &mut Place,
    events: &str,
    pages: &mut Pages,
) -> Result<Vec<Row>, BoxError> {
    let Some((id, transaction)) = *place else {
        return Ok(Vec::new());
    };
    let limit = Some(i64::from(pages.rows())).filter(|rows| *rows > 0).unwrap_or(i64::MAX);
    let values: [(&(dyn ToSql + Sync), Type); 3] =
        [(&id, Type::INT8), (&transaction, Type::INT8), (&limit, Type::INT8)];
    let rows = client.query_typed(&sql::batch::events_behind(events), &values)?;
    let is_last = pages.end_with(&rows);
    *place = rows.last().filter(|_| !is_last).map(|last| (last.get(0), last.get(2)));
    Ok(rows)
}
