//! The statements that read one page of a batch, each as a future of its own.

use dbscript::{AsyncSession, BoxError, Session, sqlstate};
use postgres::Row;
use postgres::error::SqlState;

use super::reader::{Fetched, Source};
use crate::consume::read::opening::Opening;
use crate::consume::read::pages::Pages;
use crate::consume::read::source::{self, Place, SEND_BYTES, events_behind, events_statement};

/// The name of the cursor on the server.
const CURSOR: &str = "pgq_events";

/// Closes a cursor that has outlived its transaction.
pub(super) const CLOSE: &str = "close pgq_events";

/// Reads the first page, in the batch's transaction.
pub(super) async fn open_cursor(mut session: AsyncSession, opening: Opening, pages: Pages) -> Fetched {
    let mut limits = opening.limits;
    limits.lift(&mut session).await?;
    session
        .run(&format!("declare {CURSOR} no scroll cursor for {}", events_statement(&opening.query)))
        .await?;
    let page = fetch(&mut session, &pages).await?;
    limits.restore(&mut session).await?;
    Ok((page, Source::Cursor))
}

/// Reads the next page of a cursor.
pub(super) async fn fetch_next(mut session: AsyncSession, pages: Pages, cursor: Source) -> Fetched {
    Ok((fetch(&mut session, &pages).await?, cursor))
}

async fn fetch(session: &mut AsyncSession, pages: &Pages) -> Result<Vec<Row>, postgres::Error> {
    let count = if pages.rows() == 0 { "all".to_owned() } else { pages.rows().to_string() };
    session.rows(&format!("fetch forward {count} from {CURSOR}"), &[]).await
}

/// Makes the server keep the events behind a place, sorted, and reads the first page of them. A query for each page would
/// sort all events for each page.
pub(super) async fn keep_rest(
    mut session: AsyncSession,
    opening: Opening,
    place: Place,
    pages: Pages,
) -> Fetched {
    match declare(&mut session, &opening, place).await {
        Ok(()) => fetch_next(session, pages, Source::Kept).await,
        // The role may use less disk than the rest of the batch needs.
        Err(error) if sqlstate(&*error) == Some(&SqlState::CONFIGURATION_LIMIT_EXCEEDED) => {
            session.run("rollback").await?;
            fetch_behind(session, opening, place, pages).await
        }
        Err(error) => Err(error),
    }
}

async fn declare(session: &mut AsyncSession, opening: &Opening, place: Place) -> Result<(), BoxError> {
    session.run("begin").await?;
    opening.limits.lift(session).await?;
    let events = events_behind(&opening.query, place);
    session.run(&format!("declare {CURSOR} no scroll cursor with hold for {events}")).await?;
    // The server sorts and keeps the events when it commits.
    Ok(session.run("commit").await?)
}

/// Reads the events behind a place by a query of their own.
pub(super) async fn fetch_behind(
    mut session: AsyncSession,
    opening: Opening,
    mut place: Place,
    mut pages: Pages,
) -> Fetched {
    let begins = opening.needs_transaction();
    if begins {
        session.run("begin").await?;
        opening.limits.lift(&mut session).await?;
    }
    if opening.has_bytes {
        session.run(SEND_BYTES).await?;
    }
    let page = source::fetch_behind(&mut session, &mut place, &opening.query, &mut pages).await?;
    if begins {
        session.run("commit").await?;
    }
    Ok((page, Source::Behind(place)))
}
