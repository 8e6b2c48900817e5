//! Reading the pages of a batch where no transaction is open.

use dbscript::param::{int8, text};
use dbscript::{BoxError, Session, sqlstate};
use postgres::Row;
use postgres::error::SqlState;

use crate::consume::read::opening::Opening;
use crate::consume::read::pages::Pages;
use crate::consume::read::source::READ_COLUMNS;

/// The events of a batch that were not read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Those behind a place.
    Behind(Place),
    /// The same, where the server cannot keep them.
    Unkept(Place),
    /// Those of a cursor that the server keeps.
    Kept,
    Nothing,
}

/// The id and the transaction of an event. Ids can repeat.
type Place = (i64, i64);

/// All events.
pub(crate) const ALL: Rest = Rest::Behind((i64::MIN, i64::MIN));

/// The name of the cursor that the server keeps.
const KEPT: &str = "pgq_kept_events";

/// Closes the cursor that the server keeps, at the end of the events.
pub(crate) const CLOSE: &str = "close pgq_kept_events";

/// $1 name.
const HAS_CURSOR: &str = "select from pg_catalog.pg_cursors where name operator(pg_catalog.=) $1";

/// Lets a database without an encoding send its bytes as they are.
const SEND_BYTES: &str = "set local client_encoding = 'SQL_ASCII'";

impl Rest {
    /// Returns whether the next page, behind so many events, begins a transaction, which is still open after an error.
    pub(crate) fn begins(self, opening: &Opening, read: u64) -> bool {
        match self {
            Rest::Behind(_) => opening.needs_transaction() || opening.keeps_rest(read),
            Rest::Unkept(_) => opening.needs_transaction(),
            Rest::Kept | Rest::Nothing => false,
        }
    }
}

/// Reads the next page, behind so many events; an empty page is the end. Returns the rest, too. If nothing is left of a kept
/// rest, the caller [closes](CLOSE) it.
pub(crate) async fn fetch(
    rest: Rest,
    session: &mut impl Session,
    opening: &Opening,
    pages: &mut Pages,
    read: u64,
) -> Result<(Vec<Row>, Rest), BoxError> {
    if rest == ALL {
        pages.at_least(opening.first_page());
    }
    match rest {
        Rest::Nothing => Ok((Vec::new(), Rest::Nothing)),
        Rest::Kept => fetch_kept(session, pages).await,
        Rest::Behind(place) if opening.keeps_rest(read) => keep(session, opening, pages, place).await,
        Rest::Behind(place) => fetch_behind(session, opening, pages, place, Rest::Behind).await,
        Rest::Unkept(place) => fetch_behind(session, opening, pages, place, Rest::Unkept).await,
    }
}

/// Reads the first events behind a place.
async fn fetch_behind(
    session: &mut impl Session,
    opening: &Opening,
    pages: &mut Pages,
    place: Place,
    next: fn(Place) -> Rest,
) -> Result<(Vec<Row>, Rest), BoxError> {
    let begins = opening.needs_transaction();
    if begins {
        session.run("begin").await?;
        opening.limits.lift(session).await?;
    }
    if opening.has_bytes {
        session.run(SEND_BYTES).await?;
    }
    let limit = Some(i64::from(pages.rows())).filter(|rows| *rows > 0).unwrap_or(i64::MAX);
    let values = [int8(&place.0), int8(&place.1), int8(&limit)];
    let rows = session.rows(&first_events_behind(&opening.query), &values).await?;
    if begins {
        session.run("commit").await?;
    }
    let is_last = pages.end_with(&rows);
    let rest = match rows.last() {
        Some(last) if !is_last => next((last.get(0), last.get(2))),
        _ => Rest::Nothing,
    };
    Ok((rows, rest))
}

/// Makes the server keep the events behind a place, and reads the first of them.
async fn keep(
    session: &mut impl Session,
    opening: &Opening,
    pages: &mut Pages,
    place: Place,
) -> Result<(Vec<Row>, Rest), BoxError> {
    match declare(session, opening, place).await {
        Ok(()) => {
            let (rows, rest) = fetch_kept(session, pages).await?;
            if rest == Rest::Nothing {
                session.run(CLOSE).await?;
            }
            Ok((rows, rest))
        }
        // The role may use less disk than the events need.
        Err(error) if sqlstate(&*error) == Some(&SqlState::CONFIGURATION_LIMIT_EXCEEDED) => {
            session.run("rollback").await?;
            fetch_behind(session, opening, pages, place, Rest::Unkept).await
        }
        Err(error) => Err(error),
    }
}

async fn declare(session: &mut impl Session, opening: &Opening, place: Place) -> Result<(), BoxError> {
    session.run("begin").await?;
    opening.limits.lift(session).await?;
    // A batch that was given up has left its cursor behind.
    if session.first_row(HAS_CURSOR, &[text(&KEPT)]).await?.is_some() {
        session.run(CLOSE).await?;
    }
    let events = events_behind(&opening.query, place);
    session.run(&format!("declare {KEPT} no scroll cursor with hold for {events}")).await?;
    // The server sorts and stores the events when it commits.
    Ok(session.run("commit").await?)
}

async fn fetch_kept(session: &mut impl Session, pages: &mut Pages) -> Result<(Vec<Row>, Rest), BoxError> {
    let count = if pages.rows() == 0 { "all".to_owned() } else { pages.rows().to_string() };
    let rows = session.rows(&format!("fetch forward {count} from {KEPT}"), &[]).await?;
    let rest = if pages.end_with(&rows) { Rest::Nothing } else { Rest::Kept };
    Ok((rows, rest))
}

/// Makes the query of the events behind a place.
fn events_behind(batch_events: &str, (id, transaction): Place) -> String {
    format!(
        "select {READ_COLUMNS} from ({batch_events}) batch where (ev_id, ev_txid) > ('{id}', '{transaction}') \
         order by ev_id, ev_txid"
    )
}

/// Makes the query of the first $3 events behind the one with id $1 and transaction $2, and of those that have the same
/// id and transaction as the last of them.
fn first_events_behind(batch_events: &str) -> String {
    format!(
        "select {READ_COLUMNS} from ({batch_events}) batch where (ev_id, ev_txid) > ($1, $2) \
         order by ev_id, ev_txid fetch first $3 rows with ties"
    )
}
