//! Events that come back to their queues.

use postgres::{Client, SimpleQueryMessage};

use crate::error::Error;
use crate::names::shown_hex;
use crate::schema::{self, Trust};
use crate::sql;

/// Puts events whose retry time has come back into their queues; returns how many. PgQ:
/// `pgq.maint_retry_events`, which does the same for all queues at once.
///
/// Each queue's events come back for themselves, some at a time in a transaction: a queue that takes none, or is
/// locked for more than two seconds, does not keep those of the others.
///
/// # Errors
///
/// When PgQ is not installed, when it belongs to a role that could so use this one's rights
/// ([`ErrorKind::Untrusted`](crate::ErrorKind::Untrusted)), and when the server fails; the first failure of a queue, after the others were
/// tried.
pub fn retry_events(client: &mut Client) -> Result<u64, Error> {
    schema::require(client)?;
    schema::require_trusted(client, Trust::All)?;
    let mut total = 0;
    retry_all(client, || true, |returned| total += returned).map(|()| total)
}

/// As [`retry_events`], as long as it is `wanted`; `count` is told what was done.
pub(super) fn retry_all(
    client: &mut Client,
    wanted: impl Fn() -> bool,
    mut count: impl FnMut(u64),
) -> Result<(), Error> {
    let mut first_failure = None;
    for (id, name) in queues(client)? {
        let result = retry_queue(client, id, &wanted, &mut count);
        if let Err(error) = result {
            let failed = Error::failed("retry events do not come back").on_queue(&name).caused_by(error);
            first_failure.get_or_insert(failed);
        }
    }
    first_failure.map_or(Ok(()), Err)
}

fn retry_queue(
    client: &mut Client,
    id: i32,
    wanted: &impl Fn() -> bool,
    count: &mut impl FnMut(u64),
) -> Result<(), postgres::Error> {
    while wanted() {
        match retry_some(client, id)? {
            0 => break,
            returned => count(returned),
        }
    }
    Ok(())
}

/// Returns the queues that have events whose time has come.
fn queues(client: &mut Client) -> Result<Vec<(i32, String)>, Error> {
    let failed = |error| Error::failed("cannot find out which events are to come back").caused_by(error);
    let answer = client.simple_query(&sql::retry::queues()).map_err(failed)?;
    let queue = |row: &postgres::SimpleQueryRow| Some((row.get(0)?.parse().ok()?, shown_hex(row.get(1)?)));
    Ok(rows(&answer).filter_map(queue).collect())
}

fn retry_some(client: &mut Client, id: i32) -> Result<u64, postgres::Error> {
    let answer = client.simple_query(&sql::retry::events(id))?;
    let returned = rows(&answer).find_map(|row| row.get(0)?.parse().ok());
    Ok(returned.unwrap_or(0))
}

fn rows(answer: &[SimpleQueryMessage]) -> impl Iterator<Item = &postgres::SimpleQueryRow> {
    answer.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    })
}
