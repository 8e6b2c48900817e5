//! The ticker's round: look after the lock, tick what is due.

use std::time::{Duration, Instant};

use dbscript::{BoxError, Context, Round, Script, describe};

use super::duty::{Duty, LOOK};
use super::settings::DB;
use super::state::{TickerRole, TickerState};
use super::ticking::Ticking;
use crate::schema::{self, Trust};

/// Ticks the queues of one database as long as it has the lock.
pub(super) struct TickerLoop {
    state: TickerState,
    /// Whether PgQ has to be there from the start.
    checks: bool,
    duty: Duty,
    ticking: Ticking,
    every: Duration,
    ticked: Option<Instant>,
}

impl TickerLoop {
    pub(super) fn new(state: TickerState, every: Duration, checks: bool) -> TickerLoop {
        TickerLoop {
            ticking: Ticking::new(state.clone()),
            duty: Duty::new(state.clone()),
            state,
            checks,
            every,
            ticked: None,
        }
    }

    /// Returns how long to sleep between rounds: the lock is looked after however rarely queues are ticked.
    pub(super) fn pace(&self) -> Duration {
        let parts = self.every.as_secs_f64() / LOOK.as_secs_f64();
        if parts <= 1.0 { self.every } else { self.every.div_f64(parts.ceil()) }
    }

    fn is_due(&self) -> bool {
        // Sleeps end a little late, never early.
        let every = if self.every > LOOK { self.every } else { Duration::ZERO };
        self.ticked.is_none_or(|at| at.elapsed() >= every)
    }

    /// Returns the ticker's part, or nothing when the database was not asked for anything.
    fn round(&mut self, cx: &mut Context) -> Result<Option<TickerRole>, BoxError> {
        let looks = self.duty.is_due();
        if looks {
            let is_new = !self.duty.is_ours();
            self.duty.look(cx)?;
            if self.duty.is_ours() {
                let what = if is_new { Trust::All } else { Trust::Schema };
                schema::require_trusted(&mut *cx.database(DB)?, what)
                    .map_err(|error| cx.locate(DB, error))?;
            }
        }
        if !self.duty.is_ours() {
            self.ticking.forget();
            self.ticked = None;
            return Ok(looks.then_some(TickerRole::Standby));
        }
        if !self.is_due() {
            return Ok(looks.then_some(TickerRole::Ticking));
        }
        self.ticked = Some(Instant::now());
        self.ticking.round(cx, DB)?;
        self.duty.is_done(cx);
        Ok(Some(TickerRole::Ticking))
    }
}

impl Script for TickerLoop {
    fn startup(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        // A database that was dropped and created again meanwhile may be anybody's.
        cx.databases()
            .set_check(DB, "cannot tick", |client| Ok(schema::require_trusted(client, Trust::All)?));
        if self.checks {
            let mut db = cx.database(DB)?;
            schema::require(&mut *db).map_err(|error| cx.locate(DB, error))?;
        }
        Ok(())
    }

    fn work(&mut self, cx: &mut Context) -> Result<Round, BoxError> {
        self.state.begin();
        match self.round(cx) {
            Ok(role) => {
                self.state.reached(role, self.ticking.failing());
                Ok(Round::Idle)
            }
            Err(error) => {
                self.ticking.forget();
                // Another ticker may have better luck.
                self.duty.give_up(cx);
                self.state.failed(describe(&*error));
                Err(error)
            }
        }
    }

    fn shutdown(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        self.duty.end(cx);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(every: f64, expected: f64) {
        let ticker = TickerLoop::new(TickerState::default(), Duration::from_secs_f64(every), false);
        assert!((ticker.pace().as_secs_f64() - expected).abs() < 1e-6, "{:?}", ticker.pace());
    }

    #[test]
    fn the_lock_is_looked_after_once_a_second() {
        check(0.1, 0.1);
        check(1.0, 1.0);
        check(1.5, 0.75);
        check(3600.0, 1.0);
    }
}
