//! Reading the events of a batch page by page.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use dbscript::{AsyncSession, BoxError, Session};
use postgres::Row;

use super::connections::Connections;
use crate::consume::read::opening::Opening;
use crate::consume::read::pages::Pages;
use crate::consume::read::rest::{self, Rest};
use crate::consume::read::source::events_statement;
use crate::consume::settings::Settings;

/// The name of the cursor on the server.
const CURSOR: &str = "pgq_events";

/// Reads the events of a batch.
pub(super) struct Reader {
    pages: Pages,
    source: Source,
    /// The page that is on its way; it stays here when a future of the caller is dropped.
    fetching: Option<Fetching>,
    /// A page that arrived before it was asked for.
    fetched: Option<Fetched>,
    read: u64,
}

/// A page, the source of the next one, and its size.
type Fetched = Result<(Vec<Row>, Source, Pages), BoxError>;

type Fetching = Pin<Box<dyn Future<Output = Fetched> + Send>>;

/// Where the next page comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// A cursor of the batch's transaction that does not exist yet.
    Unopened,
    /// The cursor of the batch's transaction.
    Cursor,
    /// What is left, where no transaction is open.
    Rest(Rest),
}

const EXHAUSTED: Source = Source::Rest(Rest::Nothing);

impl Reader {
    pub(super) fn new(settings: &Settings) -> Reader {
        Reader {
            pages: Pages::new(settings.lazy_fetch),
            source: if settings.autocommit { Source::Rest(rest::ALL) } else { Source::Unopened },
            fetching: None,
            fetched: None,
            read: 0,
        }
    }

    /// Makes a reader that is at the end of its batch, and needs no connection.
    pub(super) fn at_end() -> Reader {
        Reader { pages: Pages::new(None), source: EXHAUSTED, fetching: None, fetched: None, read: 0 }
    }

    /// Reads the next page; an empty page is the end.
    pub(super) async fn fetch(
        &mut self,
        connections: &mut Connections,
        opening: &mut Opening,
    ) -> Result<Vec<Row>, BoxError> {
        let is_first = self.source == Source::Unopened;
        self.start(connections, opening)?;
        let fetched = match (self.fetched.take(), &mut self.fetching) {
            (Some(fetched), _) => fetched,
            (None, Some(fetching)) => fetching.await,
            (None, None) => return Ok(Vec::new()),
        };
        self.fetching = None;
        let page;
        (page, self.source, self.pages) = fetched?;
        // When there is a first row, all are sorted, and the memory for that is given back.
        if is_first {
            opening.limits.work_mem = None;
        }
        self.read += page.len() as u64;
        Ok(page)
    }

    /// Asks for the next page if one statement reads it, so that it arrives while the events of this one are handled.
    pub(super) async fn fetch_ahead(
        &mut self,
        connections: &mut Connections,
        opening: &Opening,
    ) -> Result<(), BoxError> {
        if self.source == Source::Unopened || self.begins(opening) {
            return Ok(());
        }
        self.start(connections, opening)?;
        if let Some(fetching) = &mut self.fetching {
            // The first poll sends the statement.
            let polled = poll_fn(|cx| Poll::Ready(fetching.as_mut().poll(cx))).await;
            if let Poll::Ready(fetched) = polled {
                (self.fetching, self.fetched) = (None, Some(fetched));
            }
        }
        Ok(())
    }

    /// Returns whether the next page begins a transaction on the connection.
    pub(super) fn begins(&self, opening: &Opening) -> bool {
        matches!(self.source, Source::Rest(rest) if rest.begins(opening, self.read))
    }

    /// Makes the future of the next page, unless there is one.
    fn start(&mut self, connections: &mut Connections, opening: &Opening) -> Result<(), BoxError> {
        if self.fetching.is_some() || self.fetched.is_some() || self.source == EXHAUSTED {
            return Ok(());
        }
        let (session, opening, pages) = (connections.main()?.session(), opening.clone(), self.pages.clone());
        self.fetching = Some(match self.source {
            Source::Unopened => Box::pin(open_cursor(session, opening, pages)),
            Source::Cursor => Box::pin(fetch_next(session, pages)),
            Source::Rest(rest) => Box::pin(fetch_rest(session, opening, pages, rest, self.read)),
        });
        Ok(())
    }

    /// Forgets a page that is on its way.
    pub(super) fn stop(&mut self) {
        (self.fetching, self.fetched) = (None, None);
    }
}

async fn open_cursor(mut session: AsyncSession, opening: Opening, pages: Pages) -> Fetched {
    let mut limits = opening.limits;
    limits.lift(&mut session).await?;
    session
        .run(&format!("declare {CURSOR} no scroll cursor for {}", events_statement(&opening.query)))
        .await?;
    let fetched = fetch_next(session.clone(), pages).await?;
    limits.restore(&mut session).await?;
    Ok(fetched)
}

async fn fetch_next(mut session: AsyncSession, mut pages: Pages) -> Fetched {
    let count = if pages.rows() == 0 { "all".to_owned() } else { pages.rows().to_string() };
    let page = session.rows(&format!("fetch forward {count} from {CURSOR}"), &[]).await?;
    let next = if pages.end_with(&page) { EXHAUSTED } else { Source::Cursor };
    Ok((page, next, pages))
}

async fn fetch_rest(
    mut session: AsyncSession,
    opening: Opening,
    mut pages: Pages,
    rest: Rest,
    read: u64,
) -> Fetched {
    let (page, rest) = rest::fetch(rest, &mut session, &opening, &mut pages, read).await?;
    Ok((page, Source::Rest(rest), pages))
}
