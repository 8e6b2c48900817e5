//! Notices that nothing ticks the queue of an idle consumer.

use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, Utc};
use dbscript::param::text;
use dbscript::{LogThrottle, Session, describe, shortened};
use log::{debug, info, warn};

use crate::time::Time;

/// How long a consumer is idle before the first check, and the time between two checks.
const CHECK_PERIOD: Duration = Duration::from_secs(5);
/// How late a tick may be.
const MARGIN: Duration = Duration::from_secs(5);
/// The time between two checks of a role that may not read the tables.
const AFTER_FAILURE: Duration = Duration::from_secs(300);

/// The checks of an idle consumer for overdue ticks.
#[derive(Default)]
pub(crate) struct TickWatch {
    next_check: Option<Instant>,
    /// The last tick, if the next one is overdue.
    overdue_since: Option<DateTime<Utc>>,
    throttle: LogThrottle,
}

/// $1 queue. Returns the time of the last tick, its age, and the age at which a ticker makes the next one, in seconds.
/// No row: the queue has no ticker of its own, or it is paused.
///
/// With new events a tick is due after `queue_ticker_max_lag`, otherwise after twice the time between the last two
/// ticks, at most `queue_ticker_idle_period`.
const LAST_TICK: &str = "select newest.tick_time, \
         extract(epoch from pg_catalog.clock_timestamp() - newest.tick_time)::pg_catalog.float8, \
         extract(epoch from case \
             when before.tick_time is null or events.reached > newest.tick_event_seq then queue_ticker_max_lag \
             else greatest(queue_ticker_max_lag, least((newest.tick_time - before.tick_time) \
                 * 2::pg_catalog.float8, queue_ticker_idle_period)) end)::pg_catalog.float8 \
     from pgq.queue \
     cross join lateral ( \
         select tick_id, tick_time, tick_event_seq from pgq.tick where tick_queue = queue_id \
         order by tick_queue desc, tick_id desc limit 1) newest \
     left join lateral ( \
         select tick_time from pgq.tick where tick_queue = queue_id and tick_id < newest.tick_id \
         order by tick_queue desc, tick_id desc limit 1) before on true \
     cross join lateral (select pg_catalog.to_regclass(queue_event_seq) as sequence offset 0) named \
     cross join lateral ( \
         select case when pg_catalog.has_sequence_privilege(sequence::pg_catalog.oid, 'select'::pg_catalog.text) \
             then pg_catalog.pg_sequence_last_value(sequence) end as reached offset 0) events \
     where queue_name = $1 and not queue_external_ticker and not queue_ticker_paused \
         and pg_catalog.isfinite(newest.tick_time) and pg_catalog.isfinite(before.tick_time) is not false";

impl TickWatch {
    /// Checks the queue of an idle consumer when it is time, and logs overdue ticks once a minute. Returns the time of
    /// the last tick if the next one is overdue.
    ///
    /// # Errors
    ///
    /// When the connection fails.
    pub(crate) async fn check(
        &mut self,
        session: &mut impl Session,
        queue: &str,
    ) -> Result<Option<DateTime<Utc>>, postgres::Error> {
        let now = Instant::now();
        let next_check = *self.next_check.get_or_insert(now + shortened(CHECK_PERIOD));
        if next_check <= now {
            self.next_check = Some(now + shortened(CHECK_PERIOD));
            match overdue_since(session, queue).await {
                Ok(since) => self.follow(queue, since),
                Err(error) if error.as_db_error().is_none() => return Err(error),
                Err(error) => {
                    debug!("cannot check the ticks of queue `{queue}`: {}", describe(&error));
                    self.next_check = Some(now + AFTER_FAILURE);
                }
            }
        }
        Ok(self.overdue_since)
    }

    /// Notes that the consumer has got a batch, which is the proof of a tick.
    pub(crate) fn ticked(&mut self) {
        self.next_check = None;
        self.overdue_since = None;
    }

    fn follow(&mut self, queue: &str, since: Option<DateTime<Utc>>) {
        match since {
            Some(since) if self.throttle.admit_key("no tick").is_some() => {
                let time = since.to_rfc3339_opts(SecondsFormat::Secs, true);
                warn!("no tick on queue `{queue}` since {time}: is a ticker running?");
            }
            None if self.overdue_since.is_some() => info!("queue `{queue}` has ticks again"),
            _ => {}
        }
        self.overdue_since = since;
    }
}

/// Returns the time of the last tick if the next one is overdue.
async fn overdue_since(
    session: &mut impl Session,
    queue: &str,
) -> Result<Option<DateTime<Utc>>, postgres::Error> {
    let Some(row) = session.first_row(LAST_TICK, &[text(&queue)]).await? else { return Ok(None) };
    let (Time(since), age, due): (Time, f64, f64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok((age > due + shortened(MARGIN).as_secs_f64()).then_some(since))
}
