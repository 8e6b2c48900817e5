//! Reading the events of a batch page by page.

use std::pin::Pin;

use dbscript::{AsyncSession, BoxError, Session};
use postgres::Row;

use super::connections::Connections;
use crate::consume::read::limits::Limits;
use crate::consume::read::opening::Opening;
use crate::consume::read::pages::Pages;
use crate::consume::read::source::{Place, SEND_BYTES, START, events_statement, fetch_behind};

/// The name of the cursor on the server.
const CURSOR: &str = "pgq_events";

/// Reads the events of a batch.
pub(super) struct Reader {
    pages: Pages,
    source: Source,
    /// The page that is on its way; it stays here when a future of the caller is dropped.
    fetching: Option<Fetching>,
}

type Fetching = Pin<Box<dyn Future<Output = Result<Vec<Row>, BoxError>> + Send>>;

/// Where the next page comes from.
enum Source {
    /// A cursor of the batch's transaction that does not exist yet.
    Unopened,
    /// The cursor.
    Cursor,
    /// The events behind a place, where no transaction is open.
    Behind(Place),
    Exhausted,
}

impl Reader {
    pub(super) fn new(autocommit: bool, lazy_fetch: Option<u32>) -> Reader {
        let source = if autocommit { Source::Behind(START) } else { Source::Unopened };
        Reader { pages: Pages::new(lazy_fetch), source, fetching: None }
    }

    /// Makes a reader that is at the end of its batch, and needs no connection.
    pub(super) fn at_end() -> Reader {
        Reader { pages: Pages::new(None), source: Source::Exhausted, fetching: None }
    }

    /// Reads the next page; an empty page is the end.
    pub(super) async fn fetch(
        &mut self,
        connections: &mut Connections,
        opening: &mut Opening,
    ) -> Result<Vec<Row>, BoxError> {
        let is_first = matches!(self.source, Source::Unopened);
        if self.fetching.is_none() && !matches!(self.source, Source::Exhausted) {
            self.fetching = self.next_page(connections.main()?.session(), opening);
        }
        let Some(fetching) = &mut self.fetching else { return Ok(Vec::new()) };
        let page = fetching.await;
        self.fetching = None;
        let page = page?;
        // When there is a first row, all are sorted, and the memory for that is given back.
        if is_first {
            opening.limits.work_mem = None;
        }
        let is_last = self.pages.end_with(&page);
        self.source = match (is_last, &self.source) {
            (true, _) => Source::Exhausted,
            (false, Source::Behind(_)) => Source::Behind(page.last().map(|last| (last.get(0), last.get(2)))),
            (false, _) => Source::Cursor,
        };
        Ok(page)
    }

    fn next_page(&self, session: AsyncSession, opening: &Opening) -> Option<Fetching> {
        let rows = self.pages.rows();
        match self.source {
            Source::Exhausted => None,
            Source::Unopened => {
                let (limits, statement) = (opening.limits.clone(), events_statement(&opening.query));
                Some(Box::pin(open_cursor(session, limits, statement, rows)))
            }
            Source::Cursor => Some(Box::pin(fetch_next(session, rows))),
            Source::Behind(place) => {
                let (opening, pages) = (opening.clone(), self.pages.clone());
                Some(Box::pin(fetch_alone(session, opening, place, pages)))
            }
        }
    }

    /// Forgets a page that is on its way.
    pub(super) fn stop(&mut self) {
        self.fetching = None;
    }
}

async fn open_cursor(
    mut session: AsyncSession,
    mut limits: Limits,
    statement: String,
    rows: i32,
) -> Result<Vec<Row>, BoxError> {
    limits.lift(&mut session).await?;
    session.run(&format!("declare {CURSOR} no scroll cursor for {statement}")).await?;
    let page = fetch(&mut session, rows).await?;
    limits.restore(&mut session).await?;
    Ok(page)
}

async fn fetch_next(mut session: AsyncSession, rows: i32) -> Result<Vec<Row>, BoxError> {
    Ok(fetch(&mut session, rows).await?)
}

async fn fetch(session: &mut AsyncSession, rows: i32) -> Result<Vec<Row>, postgres::Error> {
    let count = if rows == 0 { "all".to_owned() } else { rows.to_string() };
    session.rows(&format!("fetch forward {count} from {CURSOR}"), &[]).await
}

/// Reads the next page where no transaction is open.
async fn fetch_alone(
    mut session: AsyncSession,
    opening: Opening,
    mut place: Place,
    mut pages: Pages,
) -> Result<Vec<Row>, BoxError> {
    let has_begun = opening.needs_transaction();
    if has_begun {
        session.run("begin").await?;
        opening.limits.lift(&mut session).await?;
    }
    if opening.has_bytes {
        session.run(SEND_BYTES).await?;
    }
    let page = fetch_behind(&mut session, &mut place, &opening.query, &mut pages).await?;
    if has_begun {
        session.run("commit").await?;
    }
    Ok(page)
}
