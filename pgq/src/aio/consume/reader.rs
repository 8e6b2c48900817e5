//! Reading the events of a batch page by page.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use dbscript::{AsyncConnection, BoxError};
use postgres::Row;

use super::page;
use crate::consume::read::opening::{MANY, Opening};
use crate::consume::read::pages::Pages;
use crate::consume::read::source::{Place, START};
use crate::consume::settings::Settings;
use crate::event::batch_info::BatchInfo;

/// Reads the events of a batch.
pub(super) struct Reader {
    pages: Pages,
    source: Source,
    /// The page that is on its way; it stays here when a future of the caller is dropped.
    fetching: Option<Fetching>,
    /// A page that arrived before it was asked for.
    fetched: Option<Fetched>,
    read: u64,
    /// Whether the batch has many events, as far as is known.
    has_many: bool,
    /// Whether the server has refused to keep the rest of the batch.
    is_refused: bool,
}

/// A page, and the source of the next one.
pub(super) type Fetched = Result<(Vec<Row>, Source), BoxError>;

type Fetching = Pin<Box<dyn Future<Output = Fetched> + Send>>;

/// Where the next page comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Source {
    /// A cursor of the batch's transaction that does not exist yet.
    Unopened,
    /// The cursor of the batch's transaction.
    Cursor,
    /// The events behind a place, where no transaction is open.
    Behind(Place),
    /// A cursor of the events that are left, which has outlived its transaction.
    Kept,
    Exhausted,
}

impl Reader {
    pub(super) fn new(settings: &Settings, info: &BatchInfo) -> Reader {
        Reader {
            pages: Pages::new(settings.lazy_fetch),
            source: if settings.autocommit { Source::Behind(START) } else { Source::Unopened },
            fetching: None,
            fetched: None,
            read: 0,
            has_many: info.event_ids > MANY,
            is_refused: false,
        }
    }

    /// Reads the next page; an empty page is the end.
    pub(super) async fn fetch(
        &mut self,
        connection: &AsyncConnection,
        opening: &mut Opening,
    ) -> Result<Vec<Row>, BoxError> {
        let (source, keeps_rest) = (self.source, self.keeps_rest(connection, opening));
        self.start(connection, opening);
        let fetched = match (self.fetched.take(), &mut self.fetching) {
            (Some(fetched), _) => fetched,
            (None, Some(fetching)) => fetching.await,
            (None, None) => return Ok(Vec::new()),
        };
        self.fetching = None;
        let (page, next) = fetched?;
        self.is_refused |= keeps_rest && next != Source::Kept;
        // When there is a first row, all are sorted, and the memory for that is given back.
        if source == Source::Unopened {
            opening.limits.work_mem = None;
        }
        self.read += page.len() as u64;
        self.source = if self.pages.end_with(&page) { Source::Exhausted } else { next };
        if self.source == Source::Exhausted && next == Source::Kept {
            connection.send(page::CLOSE);
        }
        Ok(page)
    }

    /// Asks for the next page if one statement reads it and no transaction is open, so that it arrives while the events
    /// of this one are handled.
    pub(super) async fn fetch_ahead(&mut self, connection: &AsyncConnection, opening: &Opening) {
        let is_one_statement = match self.source {
            Source::Kept => true,
            Source::Behind(_) => !self.begins(connection, opening),
            _ => false,
        };
        if !is_one_statement {
            return;
        }
        self.start(connection, opening);
        if let Some(fetching) = &mut self.fetching {
            // The first poll sends the statement.
            let polled = poll_fn(|cx| Poll::Ready(fetching.as_mut().poll(cx))).await;
            if let Poll::Ready(fetched) = polled {
                (self.fetching, self.fetched) = (None, Some(fetched));
            }
        }
    }

    /// Returns whether the next page begins a transaction on the connection.
    pub(super) fn begins(&self, connection: &AsyncConnection, opening: &Opening) -> bool {
        let is_alone = matches!(self.source, Source::Behind(_));
        is_alone && (opening.needs_transaction() || self.keeps_rest(connection, opening))
    }

    /// Returns whether the next page makes the server keep the rest of the batch: where there is much to read, and where
    /// no pooler would give the session to others.
    pub(super) fn keeps_rest(&self, connection: &AsyncConnection, opening: &Opening) -> bool {
        let has_many = self.has_many || self.read > MANY.unsigned_abs();
        let is_possible = connection.has_session() && !opening.has_bytes && !self.is_refused;
        matches!(self.source, Source::Behind(_)) && has_many && is_possible
    }

    /// Returns whether there is a cursor that outlives transactions.
    pub(super) fn has_cursor(&self) -> bool {
        self.source == Source::Kept
    }

    /// Makes the future of the next page, unless it is on its way.
    fn start(&mut self, connection: &AsyncConnection, opening: &Opening) {
        if self.fetching.is_some() || self.fetched.is_some() {
            return;
        }
        let (session, opening, pages) = (connection.session(), opening.clone(), self.pages.clone());
        self.fetching = match self.source {
            Source::Exhausted => None,
            Source::Unopened => Some(Box::pin(page::open_cursor(session, opening, pages))),
            Source::Cursor | Source::Kept => Some(Box::pin(page::fetch_next(session, pages, self.source))),
            Source::Behind(place) if self.keeps_rest(connection, &opening) => {
                Some(Box::pin(page::keep_rest(session, opening, place, pages)))
            }
            Source::Behind(place) => Some(Box::pin(page::fetch_behind(session, opening, place, pages))),
        };
    }

    /// Forgets a page that is on its way.
    pub(super) fn stop(&mut self) {
        (self.fetching, self.fetched) = (None, None);
    }
}
