//! The source of a batch's events, in which the batch is also finished.

use crate::sql::batch::lift_limits;
use std::vec::IntoIter;

use dbscript::param::{Param, int8, text};
use dbscript::sqlstate;
use postgres::error::SqlState;
use postgres::{Client, GenericClient, IsolationLevel, Portal, Row, Transaction};

use crate::consume::holder::BatchHolder;
use crate::consume::read::culprit;
use crate::consume::read::pages::Pages;
use crate::consume::tags::Tags;
use crate::error::Error;
use crate::event::stored_event::Event;
use crate::lock;
use crate::produce::copy::copy_batch;
use crate::sql;
use crate::sql::batch::Ids;
use dbscript::BoxError;

/// The source of a batch's events, in which the batch is also finished.
pub(crate) enum Source<'a> {
    /// A transaction that lasts as long as the batch. It holds the consumer's lock.
    Transaction { transaction: Transaction<'a>, reader: Reader, lent: Lent },
    /// Each page is a transaction of its own, and between pages there is none.
    Autocommit { client: &'a mut Client, place: Place, lent: Lent },
    /// No server: events of a test.
    Memory(IntoIter<Event>),
}

/// The server's side of reading: a portal that stands where the last page ended.
pub(crate) enum Reader {
    Unopened,
    Open(Portal),
    Exhausted,
}

/// The settings of the session that the reading of a batch changes, and restores.
#[derive(Default)]
pub(crate) struct Lent {
    /// The memory that statements had before more was lent to the sorting of the batch, if it was.
    pub(crate) work_mem: Option<String>,
    /// The role's limit on a statement, if it has one; reading a batch may take longer.
    pub(crate) statement_timeout: Option<String>,
    /// Whether the role has a limit on a transaction.
    pub(crate) is_limited: bool,
}

/// The event behind which the next page begins: its id and transaction; `None` at the end.
pub(crate) type Place = Option<(i64, i64)>;

impl<'a> Source<'a> {
    /// Starts the transaction in which a batch is processed.
    pub(crate) fn transaction(client: &'a mut Client) -> Result<Source<'a>, postgres::Error> {
        let transaction =
            client.build_transaction().isolation_level(IsolationLevel::ReadCommitted).start()?;
        Ok(Source::Transaction { transaction, reader: Reader::Unopened, lent: Lent::default() })
    }

    /// Notes what was lent to the reading of the batch, or would have to be.
    pub(crate) fn lent(&mut self, what: Lent) {
        match self {
            Source::Transaction { lent, .. } | Source::Autocommit { lent, .. } => *lent = what,
            Source::Memory(_) => {}
        }
    }

    /// Reads without a transaction that lasts.
    pub(crate) fn autocommit(client: &'a mut Client) -> Source<'a> {
        Source::Autocommit { client, place: Some((i64::MIN, i64::MIN)), lent: Lent::default() }
    }

    /// Runs a statement that returns one row.
    pub(crate) fn query_one(&mut self, statement: &str, values: &[Param<'_>]) -> Result<Row, BoxError> {
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
            Source::Transaction { transaction, reader, lent } => {
                reader.fetch(transaction, lent, events, pages)
            }
            Source::Autocommit { client, place, lent } => fetch_alone(client, place, lent, events, pages),
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
            Source::Transaction { transaction, lent, .. } => {
                lent.lift(transaction)?;
                let copied = copy_batch(transaction, events, target, queue, ids)
                    .map_err(|error| culprit::name(transaction, events, error))?;
                lent.give_back(transaction)?;
                Ok(copied)
            }
            Source::Autocommit { client, lent, .. } => {
                let copied = match lent.has_limits() {
                    true => copy_batch(&mut lent.unlimited(client)?, events, target, queue, ids),
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
        tags: &mut Tags,
        holder: &BatchHolder,
        tags_many: bool,
    ) -> Result<(), Error> {
        match self {
            Source::Transaction { transaction, lent, .. } => {
                let failed = |error| Error::failed("cannot tag events").caused_by(error);
                lent.lift(transaction).map_err(failed)?;
                tags.send(transaction, holder, tags_many)?;
                lent.give_back(transaction).map_err(failed)?;
            }
            Source::Autocommit { client, lent, .. } if tags_many => {
                let failed = |error| Error::failed("cannot tag events").caused_by(error);
                let mut transaction = client.transaction().map_err(failed)?;
                lent.lift(&mut transaction).map_err(failed)?;
                tags.send(&mut transaction, holder, tags_many)?;
                transaction.commit().map_err(failed)?;
            }
            Source::Autocommit { .. } | Source::Memory(_) => return Ok(()),
        }
        tags.forget_sent();
        Ok(())
    }

    /// Sends tags, finishes the batch, and commits; returns how many batches were finished.
    pub(crate) fn finish(self, holder: &BatchHolder, tags: &Tags, tags_many: bool) -> Result<i32, Error> {
        let failed = |what: &str, error: BoxError| Error::failed(what).caused_by(error);
        let (mut transaction, lent) = match self {
            // The portal goes while its transaction lives.
            Source::Transaction { transaction, reader, lent } => {
                drop(reader);
                (transaction, lent)
            }
            Source::Autocommit { client, lent, .. } => {
                let started = client.transaction();
                (started.map_err(|error| failed("cannot start a transaction", error.into()))?, lent)
            }
            Source::Memory(_) => return Ok(1),
        };
        lent.lift(&mut transaction).map_err(|error| failed("cannot finish the batch", error.into()))?;
        tags.send(&mut transaction, holder, tags_many)?;
        let finished = holder
            .finish(&mut transaction)
            .map_err(|error| Error::failed("cannot finish the batch").caused_by(error))?;
        if finished == 1 {
            transaction.commit().map_err(|error| failed("cannot commit the batch", error.into()))?;
        }
        Ok(finished)
    }
}

/// Lifts all limits for the rest of the transaction.
const LIFT: &str = concat!("select pg_catalog.set_config('statement_timeout', '0', true), ", lift_limits!());

/// $1 memory, as the server shows it. For the rest of the transaction.
const SET_WORK_MEM: &str = "select pg_catalog.set_config('work_mem', $1, true)";

impl Lent {
    fn has_limits(&self) -> bool {
        self.statement_timeout.is_some() || self.is_limited
    }

    /// Lifts the role's limits, if it has some.
    fn lift(&self, client: &mut impl GenericClient) -> Result<(), postgres::Error> {
        if self.has_limits() { client.query_typed(LIFT, &[]).map(|_| ()) } else { Ok(()) }
    }

    /// Gives statements, which may be a handler's, the memory and the limit that they had.
    fn give_back(&mut self, client: &mut impl GenericClient) -> Result<(), postgres::Error> {
        let settings =
            [(&self.work_mem, SET_WORK_MEM), (&self.statement_timeout, sql::batch::LIMIT_STATEMENTS)];
        for (before, statement) in settings {
            if let Some(before) = before {
                client.query_typed(statement, &[text(before)])?;
            }
        }
        self.work_mem = None;
        Ok(())
    }

    /// Starts a transaction without the role's limits.
    fn unlimited<'c>(&self, client: &'c mut Client) -> Result<Transaction<'c>, postgres::Error> {
        let mut transaction = client.transaction()?;
        self.lift(&mut transaction)?;
        Ok(transaction)
    }
}

/// The columns of an event as it is read.
const READ_COLUMNS: &str =
    "ev_id, ev_time, ev_txid, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4";

/// Makes the query that reads a batch's events, as the server put it together.
fn events_statement(batch_events: &str) -> String {
    format!("select {READ_COLUMNS} from ({batch_events}) batch order by ev_id")
}

impl Reader {
    fn fetch(
        &mut self,
        transaction: &mut Transaction<'_>,
        lent: &mut Lent,
        events: &str,
        pages: &mut Pages,
    ) -> Result<Vec<Row>, BoxError> {
        let is_first = matches!(self, Reader::Unopened);
        if is_first {
            lent.lift(transaction)?;
            let statement = transaction.prepare_typed(&events_statement(events), &[])?;
            *self = Reader::Open(transaction.bind(&statement, &[])?);
        }
        let Reader::Open(portal) = self else {
            return Ok(Vec::new());
        };
        let rows = transaction.query_portal(portal, pages.rows())?;
        // When there is a first row, all are sorted.
        if is_first {
            lent.give_back(transaction)?;
        }
        if pages.end_with(&rows) {
            *self = Reader::Exhausted;
        }
        Ok(rows)
    }
}

/// Lets a database without an encoding send its bytes as they are.
const SEND_BYTES: &str = "set local client_encoding = 'SQL_ASCII'";

/// Reads the next page where no transaction is open.
fn fetch_alone(
    client: &mut Client,
    place: &mut Place,
    lent: &Lent,
    events: &str,
    pages: &mut Pages,
) -> Result<Vec<Row>, BoxError> {
    let fetched = match lent.has_limits() {
        true => fetch_behind(&mut lent.unlimited(client)?, place, events, pages),
        false => fetch_behind(client, place, events, pages),
    };
    match fetched {
        // A database without an encoding has bytes that are not UTF-8.
        Err(error) if sqlstate(&*error) == Some(&SqlState::CHARACTER_NOT_IN_REPERTOIRE) => {
            let mut transaction = lent.unlimited(client)?;
            transaction.batch_execute(SEND_BYTES)?;
            fetch_behind(&mut transaction, place, events, pages)
        }
        fetched => fetched,
    }
}

/// As [`events`], but only the first $3 events behind that with id $1 and transaction $2, and those that have
/// the same id and transaction as the last of them.
fn events_behind_statement(batch_events: &str) -> String {
    format!(
        "select {READ_COLUMNS} from ({batch_events}) batch where (ev_id, ev_txid) > ($1, $2) \
         order by ev_id, ev_txid fetch first $3 rows with ties"
    )
}

fn fetch_behind(
    client: &mut impl GenericClient,
    place: &mut Place,
    events: &str,
    pages: &mut Pages,
) -> Result<Vec<Row>, BoxError> {
    let Some((id, transaction)) = *place else {
        return Ok(Vec::new());
    };
    let limit = Some(i64::from(pages.rows())).filter(|rows| *rows > 0).unwrap_or(i64::MAX);
    let values = [int8(&id), int8(&transaction), int8(&limit)];
    let rows = client.query_typed(&events_behind_statement(events), &values)?;
    let is_last = pages.end_with(&rows);
    *place = rows.last().filter(|_| !is_last).map(|last| (last.get(0), last.get(2)));
    Ok(rows)
}
