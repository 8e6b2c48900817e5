//! Recurring events: inserted when their schedules are due.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use dbscript::BoxError;
use postgres::{Client, SimpleQueryRow};

use super::due_events::{PATIENCE, rows};
use crate::error::{At, Error};
use crate::names::{hex, hex_to_text};
use crate::produce::schedule::Schedule;

/// Returns the schedules that are due or lack a time: ids, number of the time, names, pattern and zone, and the server's
/// time in microseconds.
const DUE: &str = concat!(
    "select event_id, queue_id, next_no, ",
    hex!("queue_name"),
    ", ",
    hex!("name"),
    ", ",
    hex!("cron"),
    ", ",
    hex!("zone"),
    ", (extract(epoch from pg_catalog.clock_timestamp()) * 1000000)::pg_catalog.int8 \
     from pgq._scheduled_state() \
     where is_open and (next_time is null or next_time <= pg_catalog.clock_timestamp()) \
     order by next_time, event_id"
);

/// A schedule that is due.
struct Due {
    event: i64,
    queue: i32,
    /// The number of its time; `None`: it has none.
    number: Option<i64>,
    queue_name: String,
    name: String,
    cron: String,
    zone: String,
    now: DateTime<Utc>,
}

impl Due {
    fn of(row: &SimpleQueryRow) -> Option<Due> {
        let text = |column| row.get(column).map(hex_to_text);
        Some(Due {
            event: row.get(0)?.parse().ok()?,
            queue: row.get(1)?.parse().ok()?,
            number: row.get(2).and_then(|number| number.parse().ok()),
            queue_name: text(3)?,
            name: text(4)?,
            cron: text(5)?,
            zone: text(6)?,
            now: DateTime::from_timestamp_micros(row.get(7)?.parse().ok()?)?,
        })
    }

    /// Computes the time after now. Times before now that were missed are left out.
    fn next(&self) -> Result<DateTime<Utc>, Error> {
        let schedule = Schedule::new(&self.cron)?.in_zone(&self.zone)?;
        schedule.next_after(self.now).ok_or_else(|| Error::failed(format!("{schedule} has no next time")))
    }

    /// Inserts the event and sets the next time, in one transaction. Returns whether it inserted the event.
    fn insert(&self, client: &mut Client) -> Result<bool, Error> {
        let failed = |cause: BoxError| {
            At::queue(&self.queue_name)
                .failed(format!("cannot insert the event of schedule `{}`", self.name), cause)
        };
        let next = self.next().map_err(|error| failed(error.into()))?.timestamp();
        let number = self.number.map_or("null".to_owned(), |number| number.to_string());
        let insert = format!(
            "{PATIENCE}; select pgq._insert_scheduled({}, {number}, pg_catalog.to_timestamp({next}))::pg_catalog.int4",
            self.event
        );
        let answer = client.simple_query(&insert).map_err(|error| failed(error.into()))?;
        Ok(rows(&answer).any(|row| row.get(0) == Some("1")))
    }
}

/// Inserts the events of all schedules that are due, as long as `goes_on` returns true; `count` gets the queue of each
/// event. Skips the schedules of `failing`, by their ids, and adds those that fail.
pub(super) fn insert_all(
    client: &mut Client,
    failing: &mut BTreeSet<i64>,
    goes_on: &impl Fn() -> bool,
    mut count: impl FnMut(i32),
) -> Result<(), Error> {
    let mut result = Ok(());
    loop {
        let mut inserted = 0;
        for due in read(client)? {
            if !goes_on() {
                return result;
            }
            if failing.contains(&due.event) {
                continue;
            }
            match due.insert(client) {
                Ok(true) => {
                    inserted += 1;
                    count(due.queue);
                }
                Ok(false) => {}
                Err(error) => {
                    failing.insert(due.event);
                    result = result.and(Err(error));
                }
            }
        }
        // A time that was over before it was set was not set, and is computed anew.
        if inserted == 0 {
            return result;
        }
    }
}

fn read(client: &mut Client) -> Result<Vec<Due>, Error> {
    let failed = |error| Error::failed("cannot read which schedules are due").caused_by(error);
    let answer = client.simple_query(&format!("{PATIENCE}; {DUE}")).map_err(failed)?;
    Ok(rows(&answer).filter_map(Due::of).collect())
}
