//! The ticker's round: check the leadership, tick the queues that are due.

use std::time::{Duration, Instant};

use dbscript::{BoxError, Context, Round, Script, describe};

use super::leadership::{CHECK_PERIOD, Leadership};
use super::settings::DB;
use super::state::{TickerRole, TickerState};
use super::ticking::Ticking;
use crate::schema::{self, Trust};

/// What the ticker requires of the database at its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AtStart {
    /// The server answers, and PgQ is installed.
    RequirePgq,
    /// Nothing: the ticker waits for the server and for PgQ.
    Wait,
}

/// The ticker rests at least this many times as long as its last round lasted, but not longer than [`LONGEST_REST`] for that.
const REST: u32 = 3;
const LONGEST_REST: Duration = Duration::from_millis(100);

/// Ticks the queues of one database as long as it is the leader.
pub(super) struct TickerLoop {
    state: TickerState,
    at_start: AtStart,
    leadership: Leadership,
    ticking: Ticking,
    period: Duration,
    ticked: Option<Instant>,
    /// How long the last round lasted.
    round: Duration,
}

impl TickerLoop {
    pub(super) fn new(state: TickerState, period: Duration, at_start: AtStart) -> TickerLoop {
        TickerLoop {
            ticking: Ticking::new(state.clone()),
            leadership: Leadership::new(state.clone()),
            state,
            at_start,
            period,
            ticked: None,
            round: Duration::ZERO,
        }
    }

    /// Returns how long to sleep between rounds: at most as long as between two checks of the leadership.
    pub(super) fn pace(&self) -> Duration {
        let parts = self.period.as_secs_f64() / CHECK_PERIOD.as_secs_f64();
        if parts <= 1.0 { self.period } else { self.period.div_f64(parts.ceil()) }
    }

    /// Returns the ticker's role, or nothing when the round sent nothing to the database.
    fn round(&mut self, cx: &mut Context) -> Result<Option<TickerRole>, BoxError> {
        let is_checked = self.leadership.is_due();
        if is_checked {
            self.check_leadership(cx)?;
        }
        if !self.leadership.is_leader() {
            self.ticking.forget();
            self.ticked = None;
            return Ok(is_checked.then_some(TickerRole::Standby));
        }
        if !self.is_due() {
            return Ok(is_checked.then_some(TickerRole::Ticking));
        }
        let start = Instant::now();
        self.ticked = Some(start);
        self.ticking.round(cx, DB)?;
        self.round = start.elapsed();
        self.leadership.log_ticking(cx);
        Ok(Some(TickerRole::Ticking))
    }

    /// Checks the leadership, and that the leader may trust PgQ: all of it when it becomes the leader, later its
    /// schema.
    fn check_leadership(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        let trust = if self.leadership.is_leader() { Trust::Schema } else { Trust::All };
        self.leadership.check(cx)?;
        if self.leadership.is_leader() {
            schema::require_trusted(&mut *cx.database(DB)?, trust).map_err(|error| cx.locate(DB, error))?;
        }
        Ok(())
    }

    /// Returns whether it is time to tick. A round with a short period ticks unless the last round was slow, since
    /// sleeps end a little late.
    fn is_due(&self) -> bool {
        let period = if self.period > CHECK_PERIOD { self.period } else { Duration::ZERO };
        self.ticked.is_none_or(|at| at.elapsed() >= period.max(self.round + rest(self.round)))
    }
}

/// Returns how long the ticker rests after a round, at least. On a busy machine rounds are slow; fewer ticks then make larger
/// batches, which cost less.
fn rest(round: Duration) -> Duration {
    (round * REST).min(LONGEST_REST)
}

impl Script for TickerLoop {
    fn startup(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        // Another role may have dropped and created the database in the meantime.
        cx.databases()
            .set_check(DB, "cannot tick", |client| Ok(schema::require_trusted(client, Trust::All)?));
        if self.at_start == AtStart::RequirePgq {
            let mut db = cx.database(DB)?;
            schema::require(&mut *db).map_err(|error| cx.locate(DB, error))?;
        }
        Ok(())
    }

    fn work(&mut self, cx: &mut Context) -> Result<Round, BoxError> {
        self.state.round_started();
        match self.round(cx) {
            Ok(role) => {
                self.state.round_succeeded(role, self.ticking.failing_queues());
                Ok(Round::Idle)
            }
            Err(error) => {
                self.ticking.forget();
                // Another ticker may succeed where this one fails.
                self.leadership.step_down(cx);
                self.state.round_failed(describe(&*error));
                Err(error)
            }
        }
    }

    fn shutdown(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        self.leadership.release(cx);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(period: f64, expected: f64) {
        let period = Duration::from_secs_f64(period);
        let ticker = TickerLoop::new(TickerState::default(), period, AtStart::Wait);
        assert!((ticker.pace().as_secs_f64() - expected).abs() < 1e-6, "{:?}", ticker.pace());
    }

    #[test]
    fn the_ticker_rests_after_slow_rounds() {
        assert_eq!(rest(Duration::from_millis(2)), Duration::from_millis(6));
        assert_eq!(rest(Duration::from_secs(2)), LONGEST_REST);
    }

    #[test]
    fn the_leadership_is_checked_once_a_second() {
        check(0.1, 0.1);
        check(1.0, 1.0);
        check(1.5, 0.75);
        check(3600.0, 1.0);
    }
}
