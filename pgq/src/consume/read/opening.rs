//! Opening a batch for reading: the consumer's lock, the query for its events, the limits of the role.

use dbscript::param::boolean;
use dbscript::{BoxError, Session, has_own_session};
use postgres::Row;
use postgres_protocol::escape::escape_literal;

use crate::consume::holder::{self, BatchHolder};
use crate::consume::read::limits::Limits;
use crate::consume::read::pages::Pages;
use crate::consume::read::source::events_statement;
use crate::consume::run::subscription::Subscription;
use crate::error::Error;
use crate::event::batch_info::BatchInfo;
use crate::lock::{self, Attempts};
use crate::schema::row_security;
use crate::sql::batch::{hidden_events, holder, lift_limits};

/// With more events a batch gets memory to be sorted in, or is sorted once for all its pages.
const MANY: i64 = 10_000;

/// With at most so many events a batch is read by one statement.
const FEW: u32 = 16;

/// A batch whose events can be read.
#[derive(Clone, Default)]
pub(crate) struct Opening {
    /// The server's query for the batch's events.
    pub(crate) query: String,
    /// Whether the server has functions that tag many events at once.
    pub(crate) tags_many: bool,
    /// Whether texts may be bytes that are not UTF-8, since the database has no encoding.
    pub(crate) has_bytes: bool,
    /// Whether the session can keep the rest of a batch: no pooler gives the session to other clients.
    pub(crate) has_session: bool,
    /// Whether there are many events, as far as is known.
    pub(crate) has_many: bool,
    /// Whether there are few events, as far as is known.
    pub(crate) has_few: bool,
    pub(crate) limits: Limits,
}

impl Opening {
    /// Makes the statement that reads a batch of few events, and one more event if there are more.
    pub(crate) fn few_events(&self, pages: &Pages) -> Option<String> {
        let reads_all = self.has_few && pages.are_adaptive();
        reads_all.then(|| format!("{} limit {}", events_statement(&self.query), FEW + 1))
    }

    /// Returns the least number of rows of the first page: all of a batch of few events, and one more event if there are
    /// more.
    pub(crate) fn first_page(&self) -> u32 {
        if self.has_few { FEW + 1 } else { 0 }
    }

    /// Returns whether a page needs a transaction of its own where none is open.
    pub(crate) fn needs_transaction(&self) -> bool {
        self.limits.are_set() || self.has_bytes
    }

    /// Returns whether the server is to keep the rest of the batch, of which so many events were read. A query for each
    /// page would sort the rest for each page.
    pub(crate) fn keeps_rest(&self, read: u64) -> bool {
        (self.has_many || read > MANY.unsigned_abs()) && self.has_session && !self.has_bytes
    }
}

/// $1 to $5 as in [`HAS_BATCH`], the name being that of the lock, too, $6 whether the lock is held elsewhere, $7
/// whether there are many events to sort. Takes the lock before it looks for the batch, so that a batch which another
/// process has just finished is not found. Then the query for the batch's events, empty if it is not this consumer's
/// and null if no table can have them, whether many can be tagged at once, and, if the memory to sort them in was
/// raised for the transaction, how much it was before: a batch of many events is not sorted on disk as long as that is
/// little memory. Then the limit on a statement, whether there is one on a transaction, which is lifted, and which
/// tables row security hides.
///
/// For the rest of the transaction, the server notices within about ten seconds that the machine of an idle client is
/// gone, and a database without an encoding, which the last column but one says it is, sends its bytes as they are, since
/// it could convert none of them. The last column is whether no pooler gives the session to others.
const OPEN_BATCH: &str = concat!(
    "select case when $6 then true else pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended( \
         pg_catalog.format('pgq %L %L', $2, $3), 0::pg_catalog.int8)) end, \
     case when exists (select from ",
    holder!(),
    ") then pgq.batch_event_sql($1) else '' end, \
     pg_catalog.to_regprocedure('pgq.event_retry_many(bigint,bigint[],integer[],bytea[])') is not null, \
     (select case when pg_catalog.set_config('work_mem', '16MB', true) is not null then work_mem end from ( \
         select pg_catalog.current_setting('work_mem') as work_mem \
         where $7 and pg_catalog.pg_size_bytes(pg_catalog.current_setting('work_mem')) < pg_catalog.pg_size_bytes('16MB') \
         offset 0) little), \
     nullif(pg_catalog.current_setting('statement_timeout'), '0'), \
     coalesce(pg_catalog.current_setting('transaction_timeout', true), '0') <> '0', ",
    hidden_events!(),
    ", ",
    lift_limits!(),
    ", (select pg_catalog.count(pg_catalog.set_config(name, value, true)) from (values \
         ('tcp_keepalives_idle'::pg_catalog.text, '5'::pg_catalog.text), ('tcp_keepalives_interval', '2'), \
         ('tcp_keepalives_count', '3'), ('client_encoding', 'SQL_ASCII')) settings (name, value) \
         where name <> 'client_encoding' or pg_catalog.current_setting('server_encoding') = 'SQL_ASCII'), \
     pg_catalog.current_setting('server_encoding') = 'SQL_ASCII', ",
    has_own_session!()
);

/// Begins the transaction again that [`open`] is the first to use.
const RESTART: &str = "rollback; begin isolation level read committed";

/// What failed, for errors.
pub(crate) const FAILED: &str = "cannot open the batch";

/// Returns whether the rows of [`few_events`](Opening::few_events) are all events of the batch.
pub(crate) fn are_all(rows: &[Row]) -> bool {
    rows.len() <= FEW as usize
}

/// Takes the consumer's lock, unless it is held already, and finds out where the batch's events are. Without autocommit,
/// a transaction of the session has just begun; the lock and the settings last as long as the transaction.
///
/// # Errors
///
/// When another process has a batch of this consumer open ([`ErrorKind::Busy`](crate::ErrorKind::Busy)), when the
/// batch is finished already, and when the server fails.
pub(crate) async fn open(
    session: &mut impl Session,
    subscription: &Subscription,
    holder: &BatchHolder,
    info: &BatchInfo,
) -> Result<Opening, Error> {
    let settings = subscription.settings();
    let name = subscription.lock_name();
    let has_many = info.event_ids > MANY;
    let sorts_here = has_many && !settings.autocommit;
    let holds_lock = subscription.holds_lock();
    let mut values = holder.values().to_vec();
    values.extend([boolean(&holds_lock), boolean(&sorts_here)]);
    let failed = |error: BoxError| holder.at().failed(FAILED, error);
    let restart = if settings.autocommit { "" } else { RESTART };
    let mut attempts = Attempts::default();
    let row = loop {
        let rows =
            session.repeat(OPEN_BATCH, &values, restart).await.map_err(|error| failed(error.into()))?;
        let row = rows.into_iter().next().ok_or_else(|| failed("the server returned no row".into()))?;
        if row.get(0) {
            break row;
        }
        if !attempts.go_on(session).await {
            let holders = lock::consumer_holders(session, &settings.queue, &name).await?;
            return Err(holder.at().add_to(lock::busy(&holders, &name)));
        }
    };
    let query = the_query(row.get(1)).map_err(|error| failed(error.into()))?;
    row_security::require_visible(row.get(6)).map_err(|error| failed(error.into()))?;
    Ok(Opening {
        query: filtered(query, &settings.table_filter),
        tags_many: row.get(2),
        has_bytes: row.get(9),
        has_session: row.get(10),
        has_many,
        has_few: info.event_ids <= i64::from(FEW),
        limits: Limits { work_mem: row.get(3), statement_timeout: row.get(4), is_limited: row.get(5) },
    })
}

/// Leaves only events of some tables in a batch's query; of no tables: all.
fn filtered(batch_events: String, tables: &[String]) -> String {
    if tables.is_empty() {
        return batch_events;
    }
    let tables: Vec<String> = tables.iter().map(|table| escape_literal(table)).collect();
    format!("select * from ({batch_events}) whole where ev_extra1 in ({})", tables.join(", "))
}

/// Returns the query for a batch's events, as the server has put it together; an empty one is of a batch that is
/// another consumer's or finished.
fn the_query(query: Option<String>) -> Result<String, Error> {
    match query.as_deref() {
        Some("") => Err(holder::gone()),
        Some(_) => Ok(query.unwrap_or_default()),
        None => Err(Error::failed(format!(
            "no table can have the events of the batch; {}",
            crate::admin::integrity::ADVICE
        ))),
    }
}
