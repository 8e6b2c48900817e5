//! Retry events: put back into their queues when their time has come.

use postgres::{Client, SimpleQueryMessage};

use crate::error::{At, Error};
use crate::names::{hex, hex_to_text};
use crate::schema::{self, Trust};

/// Puts events whose retry time has come back into their queues; returns how many. PgQ: `pgq.maint_retry_events`, which
/// does the same for all queues in one transaction.
///
/// Each transaction puts back up to ten events of one queue. A queue that accepts no events, or is locked for more than
/// two seconds, does not delay the events of the others.
///
/// # Errors
///
/// When PgQ is not installed, when it belongs to a role that could use this role's rights that way
/// ([`ErrorKind::Untrusted`](crate::ErrorKind::Untrusted)), and when the server fails. The failure of a queue is
/// returned after the other queues were tried.
pub fn retry_events(client: &mut Client) -> Result<u64, Error> {
    schema::require(client)?;
    schema::require_trusted(client, Trust::All)?;
    let mut total = 0;
    retry_all(client, || true, |returned| total += returned).map(|()| total)
}

/// Limits the time for which a statement waits for a lock. An autovacuum of `pgq.retry_queue` gives way within a
/// second. Row security that would hide events is an error.
const PATIENCE: &str = "set local transaction isolation level read committed; set local lock_timeout = '2s'; \
     set local row_security = off";

/// Makes the statements that do for one queue what `pgq.maint_retry_events` does for all: they insert at most ten
/// events with their ids and owners, one session at a time, and return how many.
fn events(queue: i32) -> String {
    format!(
        "{PATIENCE}; lock table pgq.retry_queue in share update exclusive mode; \
         with due as materialized ( \
             select retry.*, queue_name from pgq.retry_queue retry join pgq.queue on queue_id = ev_queue \
             where ev_queue = {queue} and ev_retry_after <= pg_catalog.now() order by ev_retry_after limit 10 \
             for update of retry), \
         inserted as materialized ( \
             select ev_owner, ev_id, ev_retry_after, pgq.insert_event_raw( \
                 queue_name, ev_id, ev_time, ev_owner, ev_retry, ev_type, ev_data, \
                 ev_extra1, ev_extra2, ev_extra3, ev_extra4) from due), \
         deleted as ( \
             delete from pgq.retry_queue retry using inserted \
             where retry.ev_owner = inserted.ev_owner and retry.ev_id = inserted.ev_id \
                 and retry.ev_retry_after = inserted.ev_retry_after) \
         select pg_catalog.count(*) from inserted"
    )
}

/// As [`retry_events`], as long as `goes_on` returns true; `count` gets the number of events of each transaction.
pub(super) fn retry_all(
    client: &mut Client,
    goes_on: impl Fn() -> bool,
    mut count: impl FnMut(u64),
) -> Result<(), Error> {
    let mut first_failure = None;
    for (id, name) in queues(client)? {
        let result = retry_queue(client, id, &goes_on, &mut count);
        if let Err(error) = result {
            let failed = At::queue(&name).failed("cannot put retry events back", error);
            first_failure.get_or_insert(failed);
        }
    }
    first_failure.map_or(Ok(()), Err)
}

fn retry_queue(
    client: &mut Client,
    id: i32,
    goes_on: &impl Fn() -> bool,
    count: &mut impl FnMut(u64),
) -> Result<(), postgres::Error> {
    while goes_on() {
        match retry_some(client, id)? {
            0 => break,
            returned => count(returned),
        }
    }
    Ok(())
}

/// Makes the statements that return the queues with due retry events: their ids, and their names as hexadecimal digits.
fn queues_statement() -> String {
    format!(
        "{PATIENCE}; select queue_id, {name} from pgq.queue where exists ( \
             select from pgq.retry_queue where ev_queue = queue_id and ev_retry_after <= pg_catalog.now()) \
         order by queue_name",
        name = hex!("queue_name")
    )
}

/// Returns the queues that have due retry events.
fn queues(client: &mut Client) -> Result<Vec<(i32, String)>, Error> {
    let failed = |error| Error::failed("cannot read which queues have due retry events").caused_by(error);
    let answer = client.simple_query(&queues_statement()).map_err(failed)?;
    let queue = |row: &postgres::SimpleQueryRow| Some((row.get(0)?.parse().ok()?, hex_to_text(row.get(1)?)));
    Ok(rows(&answer).filter_map(queue).collect())
}

fn retry_some(client: &mut Client, id: i32) -> Result<u64, postgres::Error> {
    let answer = client.simple_query(&events(id))?;
    let returned = rows(&answer).find_map(|row| row.get(0)?.parse().ok());
    Ok(returned.unwrap_or(0))
}

fn rows(answer: &[SimpleQueryMessage]) -> impl Iterator<Item = &postgres::SimpleQueryRow> {
    answer.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    })
}
