//! Reading the events of a batch page by page.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use dbscript::{AsyncSession, BoxError, Session};
use postgres::Row;
use tokio::task::JoinHandle;

use super::connections::Connections;
use crate::consume::read::opening::{Opening, are_all};
use crate::consume::read::pages::Pages;
use crate::consume::read::rest::{self, Rest};
use crate::consume::read::source::events_statement;
use crate::consume::settings::Settings;

/// The name of the cursor on the server.
const CURSOR: &str = "pgq_events";

/// How many pages of a cursor are requested ahead: while one is received, the server reads the next one.
const CURSOR_AHEAD: usize = 2;

/// Reads the events of a batch.
pub(super) struct Reader {
    pages: Pages,
    source: Source,
    /// The pages in flight; they stay here when a future of the caller is dropped.
    fetching: VecDeque<Fetching>,
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
    /// The rest of the batch, where no transaction is open.
    Rest(Rest),
}

const EXHAUSTED: Source = Source::Rest(Rest::Nothing);

impl Reader {
    pub(super) fn new(settings: &Settings) -> Reader {
        Reader {
            pages: Pages::new(settings.lazy_fetch),
            source: if settings.autocommit { Source::Rest(rest::ALL) } else { Source::Unopened },
            fetching: VecDeque::new(),
            read: 0,
        }
    }

    /// Makes a reader that is at the end of its batch, and needs no connection.
    pub(super) fn at_end() -> Reader {
        Reader { pages: Pages::new(None), source: EXHAUSTED, fetching: VecDeque::new(), read: 0 }
    }

    /// Reads the next page; an empty page is the end.
    pub(super) async fn fetch(
        &mut self,
        connections: &mut Connections,
        opening: &mut Opening,
    ) -> Result<Vec<Row>, BoxError> {
        let before = self.source;
        if self.fetching.is_empty() {
            self.fetching.extend(self.next_page(connections, opening)?);
        }
        let Some(fetching) = self.fetching.front_mut() else { return Ok(Vec::new()) };
        let fetched = fetching.await;
        self.fetching.pop_front();
        let page;
        (page, self.source, self.pages) = fetched?;
        self.read += page.len() as u64;
        // When there is a first row, all are sorted, and the memory for that is given back.
        if before == Source::Unopened {
            opening.limits.work_mem = None;
        }
        if self.source == EXHAUSTED {
            self.fetching.clear();
            if before == Source::Rest(Rest::Kept) {
                connections.main()?.send(rest::CLOSE);
            }
        }
        Ok(page)
    }

    /// Requests the next pages if one statement reads each, so that they arrive while the events of this one are handled.
    pub(super) async fn fetch_ahead(
        &mut self,
        connections: &mut Connections,
        opening: &Opening,
    ) -> Result<(), BoxError> {
        if self.source == Source::Unopened || self.begins(opening) {
            return Ok(());
        }
        let ahead = if self.source == Source::Cursor { CURSOR_AHEAD } else { 1 };
        while self.fetching.len() < ahead {
            let Some(mut page) = self.next_page(connections, opening)? else { break };
            // The first poll sends the statement, before the next one of the caller.
            let page: Fetching = match poll_fn(|cx| Poll::Ready(page.as_mut().poll(cx))).await {
                Poll::Ready(fetched) => Box::pin(std::future::ready(fetched)),
                Poll::Pending => Box::pin(Arriving(tokio::spawn(page))),
            };
            self.fetching.push_back(page);
        }
        Ok(())
    }

    /// Returns whether the next page begins a transaction on the connection.
    pub(super) fn begins(&self, opening: &Opening) -> bool {
        matches!(self.source, Source::Rest(rest) if rest.begins(opening, self.read))
    }

    /// Makes the future of the next page behind those in flight.
    fn next_page(
        &self,
        connections: &mut Connections,
        opening: &Opening,
    ) -> Result<Option<Fetching>, BoxError> {
        if self.source == EXHAUSTED {
            return Ok(None);
        }
        let (session, opening) = (connections.main()?.session(), opening.clone());
        let pages = self.pages.clone();
        Ok(Some(match self.source {
            Source::Unopened => Box::pin(open_cursor(session, opening, pages)),
            Source::Cursor => Box::pin(fetch_next(session, pages)),
            Source::Rest(rest) => Box::pin(fetch_rest(session, opening, pages, rest, self.read)),
        }))
    }

    /// Drops the pages in flight.
    pub(super) fn stop(&mut self) {
        self.fetching.clear();
    }
}

/// A page that a task receives. The answers to later statements arrive behind the page, so the connection must not wait
/// for a reader that does something else.
struct Arriving(JoinHandle<Fetched>);

impl Future for Arriving {
    type Output = Fetched;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Fetched> {
        Poll::Ready(ready!(Pin::new(&mut self.0).poll(cx)).unwrap_or_else(|ended| Err(ended.into())))
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn open_cursor(mut session: AsyncSession, opening: Opening, pages: Pages) -> Fetched {
    let few = opening.few_events(&pages);
    let mut limits = opening.limits;
    limits.lift(&mut session).await?;
    if let Some(statement) = few {
        let rows = session.rows(&statement, &[]).await?;
        if are_all(&rows) {
            limits.restore(&mut session).await?;
            return Ok((rows, EXHAUSTED, pages));
        }
    }
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
