//! A cooperative consumer.

use super::measure_counts;
use crate::crate_client::TEAM;
use crate::process;
use crate::testbed::{SOURCE, Testbed, in_round};
use crate::ticking::Table;
use crate::{BoxError, programs};

const QUEUE: &str = "team";
/// Each takes a millisecond.
const EVENTS: u64 = 4_000;
const EVENTS_PER_TICK: u64 = 40;

/// Measures subconsumers whose handler waits a millisecond for each event.
///
/// # Errors
///
/// When the server or a subconsumer fails, or an event is left.
pub(super) fn measure(testbed: &Testbed) -> Result<Table, BoxError> {
    let table = testbed.queue(SOURCE, QUEUE)?;
    for count in super::COUNTS {
        testbed.register(QUEUE, &format!("team_of_{count}"))?;
    }
    testbed.fill_events(QUEUE, &table, EVENTS, EVENTS_PER_TICK)?;
    let conninfo = testbed.conninfo(SOURCE);
    measure_counts("subconsumers, 1 ms of work for each event", testbed.rounds(), |count, round| {
        let consumer = in_round(&format!("team_of_{count}"), round);
        let member = |number| {
            programs::crate_client(&[TEAM, &conninfo, QUEUE, &consumer, &format!("member_{number}")])
        };
        let members = (0..count).map(member).collect::<Result<_, _>>()?;
        let sample = process::run_at_once(members, &testbed.file("log"))?;
        testbed.require_consumed(QUEUE, &consumer)?;
        Ok((EVENTS, sample))
    })
}
