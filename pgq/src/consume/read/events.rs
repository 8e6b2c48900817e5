//! The events of one batch, read page by page.

use crate::sql::batch::{hidden_events, holder, lift_limits};
use postgres_protocol::escape::escape_literal;
use std::vec::IntoIter;

use chrono::{DateTime, Utc};
use postgres::{Client, GenericClient, Row, Transaction};

use crate::consume::holder::{self, BatchHolder};
use crate::consume::read::pages::Pages;
use crate::consume::read::source::{Lent, Source};
use crate::consume::run::subscription::Subscription;
use crate::consume::tags::Tags;
use crate::error::{At, Error};
use crate::event::batch_info::BatchInfo;
use crate::event::stored_event::{Event, require_types};
use crate::lock;
use crate::schema::row_security;
use crate::sql;
use crate::sql::batch::Ids;
use dbscript::BoxError;
use dbscript::param::{boolean, int8, text, timestamptz};

/// With more events a batch gets memory to be sorted in.
const MANY: i64 = 10_000;

/// The events of an open batch, in the order of their ids.
///
/// Reads within a transaction on the source database, which holds the consumer's lock: while it lives, no
/// other process reads a batch under the same name. With [`Settings::autocommit`](crate::Settings::autocommit),
/// each page is a transaction of its own. Dropped, it leaves the batch open, to be delivered again.
pub struct Events<'a> {
    source: Source<'a>,
    pages: Pages,
    page: IntoIter<Row>,
    info: BatchInfo,
    queue: String,
    /// The server's query for the batch's events; `None` for events of a test.
    query: String,
    /// Whom this batch was opened for.
    holder: BatchHolder,
    /// Whether the server has functions that tag many events at once.
    tags_many: bool,
    /// Whether texts may be bytes that are not UTF-8, since the database has no encoding.
    has_bytes: bool,
    read: u64,
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
/// gone, and a database without an encoding, which the last column says it is, sends its bytes as they are, since it
/// could convert none of them.
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
     pg_catalog.current_setting('server_encoding') = 'SQL_ASCII'"
);

/// $1 queue, $2 time. Whether the queue has a tick from before.
const HAS_TICK_BEFORE: &str = "select exists ( \
         select from pgq.tick join pgq.queue on queue_id operator(pg_catalog.=) tick_queue \
         where queue_name operator(pg_catalog.=) $1 and tick_time operator(pg_catalog.<) $2)";

/// Leaves only events of some tables in a batch's query; of no tables: all.
fn filtered(batch_events: String, tables: &[String]) -> String {
    if tables.is_empty() {
        return batch_events;
    }
    let tables: Vec<String> = tables.iter().map(|table| escape_literal(table)).collect();
    format!("select * from ({batch_events}) whole where ev_extra1 in ({})", tables.join(", "))
}

impl<'a> Events<'a> {
    /// Starts a transaction, unless there shall be none, and finds out where the batch's events are.
    ///
    /// # Errors
    ///
    /// When another process has a batch of this consumer open ([`ErrorKind::Busy`](crate::ErrorKind::Busy)), when the
    /// batch is finished already, and when the server fails.
    pub fn open(
        client: &'a mut Client,
        subscription: &Subscription,
        info: BatchInfo,
    ) -> Result<Events<'a>, Error> {
        let settings = subscription.settings();
        let queue = &settings.queue;
        let holder = BatchHolder::new(subscription, &info);
        let failed = |error: BoxError| holder.at().failed("cannot open the batch", error);
        let mut source = match settings.autocommit {
            false => Source::transaction(client).map_err(|error| failed(error.into()))?,
            true => Source::autocommit(client),
        };
        let name = subscription.lock_name();
        let has_many = info.event_ids > MANY && !settings.autocommit;
        let holds_lock = subscription.holds_lock();
        let mut values = holder.values().to_vec();
        values.extend([boolean(&holds_lock), boolean(&has_many)]);
        let row = lock::retrying(|| {
            let row = source.query_one(OPEN_BATCH, &values)?;
            Ok(row.get::<_, bool>(0).then_some(row))
        })
        .map_err(failed)?;
        let Some(row) = row else {
            return Err(holder.at().add_to(source.busy(queue, &name)?));
        };
        let query = the_query(row.get(1)).map_err(|error| failed(error.into()))?;
        row_security::require_visible(row.get(6)).map_err(|error| failed(error.into()))?;
        source.lent(Lent { work_mem: row.get(3), statement_timeout: row.get(4), is_limited: row.get(5) });
        Ok(Events {
            source,
            pages: Pages::new(settings.lazy_fetch),
            page: Vec::new().into_iter(),
            query: filtered(query, &settings.table_filter),
            tags_many: row.get(2),
            has_bytes: row.get(9),
            info,
            queue: queue.clone(),
            holder,
            read: 0,
        })
    }

    /// Makes a batch out of events that no server has.
    pub(crate) fn of_test(queue: &str, info: BatchInfo, events: Vec<Event>) -> Events<'static> {
        Events {
            source: Source::Memory(events.into_iter()),
            pages: Pages::new(None),
            page: Vec::new().into_iter(),
            holder: BatchHolder::of_test(queue, &info),
            info,
            queue: queue.to_owned(),
            query: String::new(),
            tags_many: true,
            has_bytes: false,
            read: 0,
        }
    }

    /// Returns the batch's id and ticks.
    pub fn info(&self) -> &BatchInfo {
        &self.info
    }

    /// Returns the queue's name.
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// Returns how many events were read so far.
    pub fn count(&self) -> u64 {
        self.read
    }

    /// Returns the next event, or `None` at the end of the batch.
    ///
    /// # Errors
    ///
    /// When the server fails, and at an event with text that is not UTF-8, which a database with encoding SQL_ASCII may
    /// hold; the error names event and column.
    pub fn next_event(&mut self) -> Result<Option<Event>, Error> {
        let next = self.next_unchecked()?;
        next.iter().try_for_each(|event| self.check(event))?;
        Ok(next)
    }

    /// Fails for an event with text that cannot be read.
    pub(crate) fn check(&self, event: &Event) -> Result<(), Error> {
        let column = if self.has_bytes { event.unreadable() } else { None };
        let Some(column) = column else { return Ok(()) };
        let what = format!("cannot read the event: `{column}` is not UTF-8");
        Err(self.at().add_to(Error::failed(what)).at_event(event.id()))
    }

    /// Returns the next event, whatever it holds.
    pub(crate) fn next_unchecked(&mut self) -> Result<Option<Event>, Error> {
        let next = self.next_of_page();
        let next = if next.is_some() { next } else { self.next_page()? };
        self.read += u64::from(next.is_some());
        Ok(next)
    }

    fn next_of_page(&mut self) -> Option<Event> {
        match &mut self.source {
            Source::Memory(events) => events.next(),
            _ => self.page.next().map(Event::new),
        }
    }

    fn next_page(&mut self) -> Result<Option<Event>, Error> {
        let rows = self.source.fetch(&self.query, &mut self.pages);
        let rows = rows.and_then(|rows| rows.first().map_or(Ok(()), require_types).map(|()| rows));
        self.page = rows.map_err(|error| self.failed("cannot fetch events", error))?.into_iter();
        Ok(self.page.next().map(Event::new))
    }

    /// Copies every event of the batch into a queue of another database, in order: type, data, extras and
    /// time; the target numbers them anew. Returns how many there were.
    ///
    /// The rows stream through in the server's binary format, unparsed, so neither time nor memory is spent
    /// on single events. Meant to be the batch's only reader: what was iterated before is copied too.
    ///
    /// In a transaction, the copy is part of it; a connection without one copies in a transaction of its own. Writing
    /// to the event table takes the right to `INSERT` into it. The commit waits for the target's disk, also where
    /// `synchronous_commit` is off: the source forgets the events as soon as the batch is finished.
    ///
    /// # Errors
    ///
    /// When the target queue does not exist, and when either server fails.
    pub fn copy_to(&mut self, target: &mut impl GenericClient, queue: &str) -> Result<u64, Error> {
        self.copy(target, queue, Ids::New)
    }

    /// As [`copy_to`](Events::copy_to), but events keep their ids, and the target's sequence moves behind them, so that
    /// its ticker sees that there are new ones. Where the target queue has other producers, ids are no longer unique.
    /// Each of several events of one id can be retried or fail, but programs that tag events by the id alone, as those
    /// in Python do, tag all of them.
    ///
    /// Moving the sequence takes the rights of `pgq_admin`.
    ///
    /// # Errors
    ///
    /// As [`copy_to`](Events::copy_to).
    pub fn copy_with_ids_to(&mut self, target: &mut impl GenericClient, queue: &str) -> Result<u64, Error> {
        self.copy(target, queue, Ids::Kept)
    }

    fn copy(&mut self, target: &mut impl GenericClient, queue: &str, ids: Ids) -> Result<u64, Error> {
        let copied = self
            .source
            .copy_to(&self.query, target, queue, ids)
            .map_err(|error| self.failed(&format!("cannot copy events to queue `{queue}`"), error))?;
        self.read = copied;
        Ok(copied)
    }

    /// Returns the transaction on the source database in which the batch will be finished, if there is one.
    pub(crate) fn transaction(&mut self) -> Option<&mut Transaction<'a>> {
        match &mut self.source {
            Source::Transaction { transaction, .. } => Some(transaction),
            Source::Autocommit { .. } | Source::Memory(_) => None,
        }
    }

    /// Returns the connection to the source database, if no transaction is open there.
    pub(crate) fn client(&mut self) -> Option<&mut Client> {
        match &mut self.source {
            Source::Autocommit { client, .. } => Some(client),
            Source::Transaction { .. } | Source::Memory(_) => None,
        }
    }

    /// Returns whether the queue has a tick, which it removes when all consumers are past it. The tick may be another
    /// one of the same number.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub fn knows_tick(&mut self, tick: i64) -> Result<bool, Error> {
        self.tick_time(tick).map(|time| time.is_some())
    }

    /// Returns when the queue's tick of a number was made, as [`tick_time`](crate::admin::tick_time) does.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub fn tick_time(&mut self, tick: i64) -> Result<Option<DateTime<Utc>>, Error> {
        let values = [text(&self.queue), int8(&tick)];
        let row = self.source.query_one(sql::batch::TICK_TIME, &values);
        row.and_then(|row| Ok(row.try_get(0)?)).map_err(|error| self.failed("cannot look for a tick", error))
    }

    /// Returns whether the queue has a tick that was made before a time.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub fn has_tick_before(&mut self, time: DateTime<Utc>) -> Result<bool, Error> {
        let values = [text(&self.queue), timestamptz(&time)];
        let row = self.source.query_one(HAS_TICK_BEFORE, &values);
        row.map(|row| row.get(0)).map_err(|error| self.failed("cannot look for a tick", error))
    }

    /// Returns whether the batch is still open, and no other subconsumer has taken it over.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub fn is_ours(&mut self) -> Result<bool, Error> {
        let row = self.source.query_one(sql::batch::HAS_BATCH, &self.holder.values());
        row.map(|row| row.get(0)).map_err(|error| self.failed("cannot look for the batch", error))
    }

    /// Returns whether a batch of this consumer is open, whichever subconsumer has it.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub fn is_open(&mut self, batch: i64) -> Result<bool, Error> {
        let row = self.source.query_one(sql::batch::IS_OPEN, &self.holder.other(&batch));
        row.map(|row| row.get(0)).map_err(|error| self.failed("cannot look for a batch", error))
    }

    /// Returns whether the consumer or a subconsumer of it has a batch open that begins at a tick.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub fn is_begun_at(&mut self, tick: i64) -> Result<bool, Error> {
        let row = self.source.query_one(sql::batch::IS_BEGUN, &self.holder.other(&tick));
        row.map(|row| row.get(0)).map_err(|error| self.failed("cannot look for a batch", error))
    }

    /// Sends tags before the end of the batch.
    pub(crate) fn send(&mut self, tags: &mut Tags) -> Result<(), Error> {
        let sent = self.source.send(tags, &self.holder, self.tags_many);
        sent.map_err(|error| self.at().add_to(error))
    }

    /// Finishes the batch and commits.
    ///
    /// # Errors
    ///
    /// When the batch is no longer this consumer's or subconsumer's, and when the server fails; nothing is committed
    /// then.
    pub fn finish(self) -> Result<(), Error> {
        self.finish_with(&Tags::default())
    }

    /// As [`finish`](Events::finish), for a batch whose effects are committed elsewhere: also when another subconsumer
    /// has taken it over.
    pub(crate) fn finish_applied(mut self, tags: &mut Tags) -> Result<(), Error> {
        self.holder = self.holder.or_team();
        self.finish_with(tags)
    }

    /// As [`finish`](Events::finish), with the tags of events.
    pub(crate) fn finish_with(self, tags: &Tags) -> Result<(), Error> {
        let Events { source, holder, .. } = self;
        let located = |error| holder.at().add_to(error);
        match source.finish(&holder, tags, self.tags_many).map_err(located)? {
            1 => Ok(()),
            _ => Err(located(holder::gone())),
        }
    }

    /// Returns queue, consumer and batch, for errors.
    pub(crate) fn at(&self) -> At<'_> {
        self.holder.at()
    }

    fn failed(&self, what: &str, cause: BoxError) -> Error {
        self.at().failed(what, cause)
    }
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
