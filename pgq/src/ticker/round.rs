//! The ticker's round: look which queues are due, tick those.

use std::collections::BTreeSet;

use dbscript::{BoxError, Connection, Context, Round, Script, describe};
use postgres::SimpleQueryMessage;
use postgres::error::SqlState;

use super::duty::Duty;
use super::failing::{Failing, State};
use super::state::{TickerRole, TickerState};
use super::watch::Watch;
use crate::{Error, schema, sql};

/// The name of the database in a worker's context, and in its messages.
pub(crate) const DB: &str = "db";

/// How many queues are ticked in one transaction.
const TOGETHER: usize = 100;

/// Ticks the queues of one database, each by its own rules.
pub(super) struct TickerLoop {
    state: TickerState,
    /// Whether PgQ has to be there from the start.
    checks: bool,
    duty: Duty,
    watch: Watch,
    failing: Failing,
    notifies: bool,
}

impl TickerLoop {
    pub(super) fn new(state: TickerState, checks: bool) -> TickerLoop {
        TickerLoop {
            state,
            checks,
            duty: Duty::default(),
            watch: Watch::default(),
            failing: Failing::default(),
            notifies: true,
        }
    }

    /// Returns the ticker's part, or nothing when the database was not asked for anything.
    fn round(&mut self, cx: &mut Context) -> Result<Option<TickerRole>, BoxError> {
        let looks = self.duty.is_due();
        if looks {
            self.duty.look(cx)?;
        }
        if !self.duty.is_ours() {
            self.watch.forget();
            return Ok(looks.then_some(TickerRole::Standby));
        }
        let mut db = cx.database(DB)?;
        self.watch.look(&mut db).map_err(|error| unknown(&mut db, error))?;
        let due: Vec<i32> = self.watch.due().map(|queue| queue.id).collect();
        self.failing.retain(|id| due.contains(&id));
        let (well, suspect): (Vec<i32>, Vec<i32>) = due
            .into_iter()
            .filter(|id| self.failing.state(*id) != State::Waiting)
            .partition(|id| self.failing.state(*id) == State::Well);
        for part in well.chunks(TOGETHER) {
            if let Err(error) = self.tick(&mut db, part) {
                if concerns_all(&error) {
                    return Err(error.into());
                }
                self.one_by_one(&mut db, part)?;
            }
        }
        self.one_by_one(&mut db, &suspect)?;
        self.failing.tell();
        Ok(Some(TickerRole::Ticking))
    }

    /// Ticks each queue in a transaction of its own; one that fails is told of.
    fn one_by_one(&mut self, db: &mut Connection, queues: &[i32]) -> Result<(), BoxError> {
        for id in queues {
            match self.tick(db, &[*id]) {
                Ok(()) => self.failing.remove(*id),
                Err(error) if concerns_all(&error) => return Err(error.into()),
                Err(error) => {
                    let name = self.watch.name(*id).to_owned();
                    self.failing.add(*id, &name, &error);
                }
            }
        }
        Ok(())
    }

    /// Ticks queues in one transaction, as far as the server agrees that they are due.
    fn tick(&mut self, db: &mut Connection, queues: &[i32]) -> Result<(), postgres::Error> {
        let answer = match db.simple_query(&sql::ticker::tick(queues, self.notifies)) {
            // Nobody reads what is in the server's queue of notifications. Ticks are worth more than they are.
            Err(error) if error.code() == Some(&SqlState::PROGRAM_LIMIT_EXCEEDED) && self.notifies => {
                self.notifies = false;
                let result = self.tick(db, queues);
                self.notifies = true;
                return result;
            }
            answer => answer?,
        };
        let mut silent: BTreeSet<i32> = queues.iter().copied().collect();
        let mut ticks = 0;
        for message in &answer {
            let SimpleQueryMessage::Row(row) = message else { continue };
            let number = row.get(0).and_then(|text| text.parse::<u64>().ok());
            match (row.len(), number) {
                (1, Some(transaction)) => self.watch.skip(transaction),
                (3, Some(id)) if row.get(1).is_some() => {
                    ticks += 1;
                    silent.retain(|other| i64::from(*other) != id.cast_signed());
                }
                _ => {}
            }
        }
        self.state.count(|status| status.ticks += ticks);
        self.watch.refresh(db, queues, &silent)
    }
}

/// Tells whether an error is none of a single queue.
fn concerns_all(error: &postgres::Error) -> bool {
    // Read-only after a failover, out of resources, an operator's order, a broken system.
    let states = ["08", "25", "53", "57P", "58"];
    error.code().is_none_or(|state| states.iter().any(|class| state.code().starts_with(class)))
}

/// Says what is missing, when it is PgQ.
fn unknown(db: &mut Connection, error: postgres::Error) -> BoxError {
    if error.as_db_error().is_some()
        && let Err(missing) = schema::require(&mut **db)
        && missing.is_missing()
    {
        return missing.into();
    }
    Error::failed("cannot find out which queues are due").caused_by(error).into()
}

impl Script for TickerLoop {
    fn startup(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        if self.checks {
            schema::require(&mut *cx.database(DB)?).map_err(|error| cx.locate(DB, error))?;
        }
        Ok(())
    }

    fn work(&mut self, cx: &mut Context) -> Result<Round, BoxError> {
        self.state.begin();
        match self.round(cx) {
            Ok(role) => {
                self.state.reached(role, self.failing.names());
                Ok(Round::Idle)
            }
            Err(error) => {
                self.watch.forget();
                let error = if error.is::<Error>() { cx.locate(DB, error).into() } else { error };
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
