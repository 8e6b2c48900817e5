//! Leadership: one ticker of a database ticks, the others stand by.

use std::time::{Duration, Instant};

use dbscript::{BoxError, Connection, Context, LogThrottle, describe};
use log::{info, warn};
use postgres::SimpleQueryMessage;

use super::settings::DB;
use super::state::TickerState;
use crate::error::Error;
use crate::lock::{self, LockHolder};
use crate::sql;

/// How often the leader checks the connection that holds the lock, and a standby tries to take the lock.
pub(super) const CHECK_PERIOD: Duration = Duration::from_secs(1);

/// The name of the connection that holds the lock.
pub(super) const LEADERSHIP: &str = "leadership";

/// The lock of the ticker that ticks.
///
/// A transaction on a connection of its own holds the lock: a pooler hands out connections by transaction, and the
/// server ends the transaction when the ticker dies.
#[derive(Default)]
pub(super) struct Leadership {
    standing: Standing,
    checked: Option<Instant>,
    /// The situation that was last logged.
    logged: Option<Situation>,
    throttle: LogThrottle,
    state: TickerState,
}

/// Whether this ticker ticks.
#[derive(Default)]
enum Standing {
    #[default]
    Standby,
    /// It ticks, and this connection holds the lock.
    Leader(Box<Connection>),
    /// It ticks without the lock, because only roles that may not tick hold it.
    WithoutLock,
}

/// The result of an attempt to become the leader.
enum Attempt {
    Taken(Box<Connection>),
    /// Another ticker holds the lock; its sessions, as far as this role may see them.
    Standby(Vec<LockHolder>),
    /// Only roles that may not tick hold the lock.
    HeldByStrangers(Vec<LockHolder>),
    /// The server is a standby.
    Recovery,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Situation {
    Ticking,
    OtherLeader,
    Recovery,
}

/// Takes the lock; null on a standby of the server, where no ticker can tick. The lock ends with the transaction,
/// which stays open. It has neither a snapshot nor an id, so it delays neither vacuum nor rotation.
const TAKE_LOCK: &str = "begin isolation level read committed; \
     select case when not pg_catalog.pg_is_in_recovery() \
         then pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended('pgq ticker', 0)) end";

impl Leadership {
    pub(super) fn new(state: TickerState) -> Leadership {
        Leadership { state, ..Leadership::default() }
    }

    /// Returns whether this ticker ticks.
    pub(super) fn is_leader(&self) -> bool {
        !matches!(self.standing, Standing::Standby)
    }

    /// Returns whether it is time for a [check](Leadership::check).
    pub(super) fn is_due(&self) -> bool {
        self.checked.is_none_or(|at| at.elapsed() >= CHECK_PERIOD)
    }

    /// Checks that the lock is still held; otherwise tries to take it.
    pub(super) fn check(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        if !self.holds_lock(cx) {
            let attempt = self.try_become_leader(cx);
            // Of several servers, another one may be the primary by now.
            if matches!(attempt, Ok(Attempt::Recovery) | Err(_)) {
                cx.databases().close(LEADERSHIP);
            }
            self.checked = Some(Instant::now());
            self.follow(cx, attempt?);
        }
        self.checked = Some(Instant::now());
        Ok(())
    }

    /// Returns whether the connection holds the lock and answers. A broken connection has lost the lock.
    fn holds_lock(&mut self, cx: &mut Context) -> bool {
        let Standing::Leader(connection) = &mut self.standing else { return false };
        let Err(error) = connection.check() else { return true };
        warn!("{}: lost the ticker's lock: {}", cx.databases().label(DB), describe(&error));
        self.step_down(cx);
        self.logged = None;
        false
    }

    /// Tries to take the lock.
    ///
    /// Any role that can connect can take the lock. A role that may not tick does not stop a ticker: tickers that tick
    /// at the same time take turns.
    fn try_become_leader(&mut self, cx: &mut Context) -> Result<Attempt, BoxError> {
        let mut connection = cx.database(LEADERSHIP)?;
        let failed = |error| cx.locate(DB, Error::failed("cannot take the ticker's lock").caused_by(error));
        let answer = connection.simple_query(TAKE_LOCK).map_err(failed)?;
        let taken = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        let attempt = match taken {
            Some("t") => {
                connection.simple_query(sql::batch::KEEP_LOCK).map_err(failed)?;
                return Ok(Attempt::Taken(Box::new(connection)));
            }
            Some(_) => lock::announce_standby(&mut *connection)
                .and_then(|()| lock::ticker_holders(&mut *connection))
                .map(Attempt::of_holders)
                .map_err(|error| cx.locate(DB, error))?,
            None => Attempt::Recovery,
        };
        connection.simple_query("rollback").map_err(failed)?;
        Ok(attempt)
    }

    /// Changes the standing, and logs what has changed.
    fn follow(&mut self, cx: &mut Context, attempt: Attempt) {
        let held = attempt.held();
        self.state.update(|status| status.lock_held_by.clone_from(&held));
        let was_without_lock = matches!(self.standing, Standing::WithoutLock);
        self.standing = Standing::Standby;
        match attempt {
            Attempt::Taken(connection) => {
                self.standing = Standing::Leader(connection);
                if was_without_lock {
                    info!("{}: the ticker's lock is free again, taking over", cx.databases().label(DB));
                    self.logged = Some(Situation::Ticking);
                }
            }
            Attempt::Recovery => {
                self.log_change(cx, Situation::Recovery, "the server is a standby, standing by");
            }
            Attempt::Standby(holders) => {
                let leader = holders.first().map(|holder| format!(": {holder}")).unwrap_or_default();
                let line = format!("another ticker is active, standing by{leader}");
                self.log_change(cx, Situation::OtherLeader, &line);
            }
            Attempt::HeldByStrangers(_) => {
                self.standing = Standing::WithoutLock;
                if self.throttle.admit_key("ticking without the lock").is_some() {
                    let (label, held) = (cx.databases().label(DB), held.unwrap_or_default());
                    warn!("{label}: {held}; its role may not tick, ticking without the lock");
                }
            }
        }
    }

    /// Logs a situation that differs from the one before.
    fn log_change(&mut self, cx: &mut Context, situation: Situation, line: &str) {
        if self.logged.replace(situation) != Some(situation) {
            info!("{}: {line}", cx.databases().label(DB));
        }
    }

    /// Logs after a successful round that this ticker ticks, if that has changed.
    pub(super) fn log_ticking(&mut self, cx: &mut Context) {
        let line = match self.logged {
            Some(Situation::OtherLeader) => "the other ticker is gone, taking over",
            Some(Situation::Recovery) => "the server is no longer a standby, ticking",
            Some(Situation::Ticking) | None => "ticking",
        };
        self.log_change(cx, Situation::Ticking, line);
    }

    /// Closes the connection that holds the lock, so that the server releases it. Sends nothing: the server may not
    /// answer.
    pub(super) fn step_down(&mut self, cx: &mut Context) {
        self.standing = Standing::Standby;
        self.checked = None;
        cx.databases().close(LEADERSHIP);
    }

    /// Releases the lock and closes the connection.
    pub(super) fn release(&mut self, cx: &mut Context) {
        if let Standing::Leader(connection) = &mut self.standing {
            // If this fails, the end of the connection releases the lock.
            let _ = connection.batch_execute("rollback");
        }
        self.step_down(cx);
    }
}

impl Attempt {
    /// Returns the result of an attempt while others hold the lock. A holder that is not seen counts as a ticker.
    fn of_holders(holders: Vec<LockHolder>) -> Attempt {
        if holders.is_empty() || holders.iter().any(|holder| holder.is_entitled) {
            Attempt::Standby(holders)
        } else {
            Attempt::HeldByStrangers(holders)
        }
    }

    /// Returns which sessions hold the lock and how to end them, if others hold it.
    fn held(&self) -> Option<String> {
        match self {
            Attempt::Taken(_) | Attempt::Recovery => None,
            Attempt::Standby(holders) | Attempt::HeldByStrangers(holders) => {
                Some(lock::held_by("the ticker's lock", holders))
            }
        }
    }
}
