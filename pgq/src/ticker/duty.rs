//! Who ticks: one ticker for each database; others stand by.

use std::time::{Duration, Instant};

use dbscript::{BoxError, Connection, Context, describe};
use log::{info, warn};
use postgres::SimpleQueryMessage;

use super::settings::DB;
use crate::error::Error;
use crate::lock::{self, LockHolder};
use crate::ticker::TickerState;

/// How often the connection that holds the lock is looked at, and how often another ticker asks for it.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// How often it is said that somebody has the lock who may not tick.
const REPEAT: Duration = Duration::from_secs(60);

/// The name of the connection that holds the lock.
pub(super) const DUTY: &str = "duty";

/// The lock of the ticker that is at work. A transaction on a connection of its own holds it: a pooler hands
/// out transactions, and the server ends them when the ticker dies.
#[derive(Default)]
pub(super) struct Duty {
    held: Option<Connection>,
    looked: Option<Instant>,
    told: Option<Told>,
    /// Whether somebody has the lock who may not tick. This ticker then works without it.
    is_kept_out: bool,
    /// When that was last said.
    warned: Option<Instant>,
    state: TickerState,
}

/// What came of an attempt to take the lock.
enum Outcome {
    Taken,
    /// Other tickers have it, as far as that may be seen.
    Standby(Vec<LockHolder>),
    /// Those that have it may not tick.
    Strangers(Vec<LockHolder>),
    Recovery,
}

/// What was said last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Ticking,
    /// Another ticker has the lock.
    Standby,
    /// The server is a standby itself.
    Recovery,
}

/// Whether this session may tick; nothing on a standby, where nobody can. The lock ends with the transaction,
/// which stays open. It has neither a snapshot nor an id, so it holds up neither vacuum nor rotation.
const TAKE_DUTY: &str = "begin isolation level read committed; \
     select case when not pg_catalog.pg_is_in_recovery() \
         then pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended('pgq ticker', 0)) end";

impl Duty {
    pub(super) fn new(state: TickerState) -> Duty {
        Duty { state, ..Duty::default() }
    }

    /// Returns whether this ticker is to work: it has the lock, or those that have it may not tick.
    pub(super) fn is_ours(&self) -> bool {
        self.held.is_some() || self.is_kept_out
    }

    /// Returns whether it is time to look after the lock.
    pub(super) fn is_due(&self) -> bool {
        self.looked.is_none_or(|at| at.elapsed() >= LOOK)
    }

    /// Looks whether the lock is still held, and tries to get it otherwise.
    pub(super) fn look(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        if let Some(connection) = &mut self.held {
            let Err(error) = connection.check() else {
                self.looked = Some(Instant::now());
                return Ok(());
            };
            warn!("{}: lost the ticker's lock: {}", cx.databases().label(DB), describe(&error));
            self.give_up(cx);
            self.told = None;
        }
        let outcome = self.take(cx);
        if self.held.is_none() {
            cx.databases().close(DUTY);
        }
        self.looked = Some(Instant::now());
        self.follow(cx, outcome?);
        Ok(())
    }

    /// Takes note of what came of an attempt, and says what is news.
    fn follow(&mut self, cx: &mut Context, outcome: Outcome) {
        let was_kept_out = std::mem::take(&mut self.is_kept_out);
        let holders = match &outcome {
            Outcome::Taken | Outcome::Recovery => String::new(),
            Outcome::Standby(holders) | Outcome::Strangers(holders) => {
                lock::told("the ticker's lock", holders)
            }
        };
        self.state
            .count(|status| status.lock_held_by = Some(holders.clone()).filter(|held| !held.is_empty()));
        match outcome {
            Outcome::Taken if was_kept_out => {
                info!("{}: the ticker's lock is free again, taking over", cx.databases().label(DB));
                self.told = Some(Told::Ticking);
            }
            Outcome::Taken => {}
            Outcome::Recovery => self.tell_once(cx, Told::Recovery, "this server is a standby, standing by"),
            Outcome::Standby(found) => {
                let who = found.first().map(|holder| format!(": {holder}")).unwrap_or_default();
                self.tell_once(cx, Told::Standby, &format!("another ticker is at work, standing by{who}"));
            }
            Outcome::Strangers(_) => {
                self.is_kept_out = true;
                if self.warned.is_none_or(|warned| warned.elapsed() >= REPEAT) {
                    self.warned = Some(Instant::now());
                    let label = cx.databases().label(DB);
                    warn!("{label}: {holders}, whose role may not tick; ticking without the lock");
                }
            }
        }
    }

    /// Tries to get the lock.
    ///
    /// Whoever can connect can take it. A lock of somebody who may not tick keeps no ticker from its work: several
    /// that tick at once take turns.
    fn take(&mut self, cx: &mut Context) -> Result<Outcome, BoxError> {
        let mut connection = cx.database(DUTY)?;
        let failed = |error| cx.locate(DB, Error::failed("cannot take the ticker's lock").caused_by(error));
        let answer = connection.simple_query(TAKE_DUTY).map_err(failed)?;
        let taken = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        if taken == Some("t") {
            connection.simple_query(crate::sql::batch::KEEP_LOCK).map_err(failed)?;
            self.held = Some(connection);
            return Ok(Outcome::Taken);
        }
        let holders = match taken {
            Some(_) => lock::ticker_holders(&mut *connection).map_err(|error| cx.locate(DB, error))?,
            None => Vec::new(),
        };
        connection.simple_query("rollback").map_err(failed)?;
        Ok(match taken {
            None => Outcome::Recovery,
            Some(_) if holders.is_empty() || holders.iter().any(|holder| holder.is_entitled) => {
                Outcome::Standby(holders)
            }
            Some(_) => Outcome::Strangers(holders),
        })
    }

    /// Says why it stands by, when that is news.
    fn tell_once(&mut self, cx: &mut Context, reason: Told, why: &str) {
        if self.told.replace(reason) != Some(reason) {
            info!("{}: {why}", cx.databases().label(DB));
        }
    }

    /// Takes note that ticking works, and says so when it is news.
    pub(super) fn is_done(&mut self, cx: &mut Context) {
        let what = match self.told.replace(Told::Ticking) {
            Some(Told::Ticking) => return,
            Some(Told::Standby) => "the other ticker is gone, taking over",
            Some(Told::Recovery) => "the server is no standby any more, ticking",
            None => "ticking",
        };
        info!("{}: {what}", cx.databases().label(DB));
    }

    /// Gives the lock to whoever asks next, without a word to a server that may not answer.
    pub(super) fn give_up(&mut self, cx: &mut Context) {
        self.held = None;
        self.is_kept_out = false;
        self.looked = None;
        cx.databases().close(DUTY);
    }

    /// Gives the lock back.
    pub(super) fn end(&mut self, cx: &mut Context) {
        if let Some(connection) = &mut self.held {
            // What the server does not hear it sees when the connection is closed.
            let _ = connection.batch_execute("rollback");
        }
        self.give_up(cx);
    }
}
