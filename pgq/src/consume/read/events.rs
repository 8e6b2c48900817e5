//! The events of one batch, read page by page.

use std::vec::IntoIter;

use chrono::{DateTime, Utc};
use postgres::{Client, GenericClient, Row, Transaction};

use crate::consume::delivered::Delivered;
use crate::consume::holder::{self, BatchHolder, TEST_CONSUMER};
use crate::consume::read::opening::{self, Opening};
use crate::consume::read::pages::Pages;
use crate::consume::read::rest;
use crate::consume::read::source::{Reader, Source, start_transaction};
use crate::consume::run::subscription::Subscription;
use crate::consume::settings::Settings;
use crate::consume::spans::BatchSpan;
use crate::consume::tags::Tags;
use crate::error::{At, Error};
use crate::event::batch_info::BatchInfo;
use crate::event::stored_event::{Event, require_types};
use crate::sql;
use crate::sql::batch::Ids;
use dbscript::param::{int8, text, timestamptz};
use dbscript::{BoxError, Repeating, StatementCache, ready};

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
    opening: Opening,
    /// Whom this batch was opened for.
    holder: BatchHolder,
    read: u64,
    span: BatchSpan,
    /// The prepared statements of the session.
    statements: StatementCache,
    /// Whether a handler has used the session.
    is_lent: bool,
}

/// $1 queue, $2 time. Whether the queue has a tick from before.
const HAS_TICK_BEFORE: &str = "select exists ( \
         select from pgq.tick join pgq.queue on queue_id operator(pg_catalog.=) tick_queue \
         where queue_name operator(pg_catalog.=) $1 and tick_time operator(pg_catalog.<) $2)";

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
        Events::open_with(client, &StatementCache::default(), subscription, info)
    }

    /// As [`open`](Events::open), with the prepared statements of the connection.
    pub(crate) fn open_with(
        client: &'a mut Client,
        statements: &StatementCache,
        subscription: &Subscription,
        info: BatchInfo,
    ) -> Result<Events<'a>, Error> {
        let settings = subscription.settings();
        let holder = BatchHolder::new(subscription, &info);
        let (source, opening) = match settings.autocommit {
            false => {
                let started = start_transaction(client);
                let mut transaction = started.map_err(|error| holder.at().failed(opening::FAILED, error))?;
                let mut session = Repeating::new(&mut transaction, statements);
                let opening = ready(opening::open(&mut session, subscription, &holder, &info))?;
                (Source::Transaction { transaction, reader: Reader::Unopened }, opening)
            }
            true => {
                let mut session = Repeating::new(client, statements);
                let opening = ready(opening::open(&mut session, subscription, &holder, &info))?;
                (Source::Autocommit { client, rest: rest::ALL }, opening)
            }
        };
        Ok(Events {
            source,
            pages: Pages::new(settings.lazy_fetch),
            page: Vec::new().into_iter(),
            opening,
            span: BatchSpan::new(settings, &info),
            info,
            queue: settings.queue.clone(),
            holder,
            read: 0,
            statements: statements.clone(),
            is_lent: false,
        })
    }

    /// Makes a batch out of events that no server has.
    pub(crate) fn of_test(queue: &str, info: BatchInfo, events: Vec<Event>) -> Events<'static> {
        Events {
            source: Source::Memory(events.into_iter()),
            pages: Pages::new(None),
            page: Vec::new().into_iter(),
            holder: BatchHolder::of_test(queue, &info),
            span: BatchSpan::new(&Settings::new(queue, TEST_CONSUMER), &info),
            info,
            queue: queue.to_owned(),
            opening: Opening::default(),
            read: 0,
            statements: StatementCache::default(),
            is_lent: false,
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
        let column = if self.opening.has_bytes { event.unreadable() } else { None };
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
        let rows = self.source.fetch(&mut self.opening, &mut self.pages, self.read);
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
            .copy_to(&mut self.opening, target, queue, ids)
            .map_err(|error| self.failed(&format!("cannot copy events to queue `{queue}`"), error))?;
        self.read = copied;
        Ok(copied)
    }

    /// Returns the transaction on the source database in which the batch will be finished, if there is one.
    pub(crate) fn transaction(&mut self) -> Option<&mut Transaction<'a>> {
        self.is_lent = true;
        match &mut self.source {
            Source::Transaction { transaction, .. } => Some(transaction),
            Source::Autocommit { .. } | Source::Memory(_) => None,
        }
    }

    /// Returns the connection to the source database, if no transaction is open there.
    pub(crate) fn client(&mut self) -> Option<&mut Client> {
        self.is_lent = true;
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

    /// Returns whether the consumer has passed a tick: the next batch that it or a subconsumer opens begins there or later.
    ///
    /// # Errors
    ///
    /// When the server fails.
    pub fn is_past(&mut self, tick: i64) -> Result<bool, Error> {
        let row = self.source.query_one(sql::batch::IS_PAST, &self.holder.other(&tick));
        row.map(|row| row.get(0)).map_err(|error| self.failed("cannot look for the position", error))
    }

    /// Sends tags before the end of the batch.
    pub(crate) fn send(&mut self, tags: &mut Tags) -> Result<(), Error> {
        let sent = self.source.send(&mut self.opening, tags, &self.holder);
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
        let Events { source, opening, holder, span, read, statements, is_lent, .. } = self;
        let kept = if is_lent { None } else { Some(&statements) };
        let located = |error| holder.at().add_to(error);
        match source.finish(&opening, &holder, tags, kept).map_err(located)? {
            1 => {
                let (retried, failed) = (tags.retried(), tags.failed());
                span.finished(&Delivered { retried, failed, ..Delivered::all_done(read) });
                Ok(())
            }
            _ => Err(located(holder::gone())),
        }
    }

    pub(crate) fn span(&self) -> &BatchSpan {
        &self.span
    }

    /// Returns queue, consumer and batch, for errors.
    pub(crate) fn at(&self) -> At<'_> {
        self.holder.at()
    }

    fn failed(&self, what: &str, cause: BoxError) -> Error {
        self.at().failed(what, cause)
    }
}
