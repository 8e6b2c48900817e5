//! Who ticks: one ticker for each database; others stand by.

use std::time::{Duration, Instant};

use dbscript::{BoxError, Connection, Context, describe};
use log::{info, warn};
use postgres::SimpleQueryMessage;

use super::round::DB;
use crate::Error;
use crate::sql::ticker as sql;

/// How often the connection that holds the lock is looked at, and how often another ticker asks for it.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// The name of the connection that holds the lock.
pub(super) const DUTY: &str = "duty";

/// The lock of the ticker that is at work. A transaction on a connection of its own holds it: a pooler hands
/// out transactions, and the server ends them when the ticker dies.
#[derive(Default)]
pub(super) struct Duty {
    held: Option<Connection>,
    looked: Option<Instant>,
    told: Option<Told>,
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

impl Duty {
    /// Tells whether this ticker is the one at work.
    pub(super) fn is_ours(&self) -> bool {
        self.held.is_some()
    }

    /// Tells whether it is time to look after the lock.
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
        let kept_from = self.take(cx);
        if self.held.is_none() {
            cx.databases().close(DUTY);
        }
        self.looked = Some(Instant::now());
        if let Some(reason) = kept_from? {
            self.tell_once(cx, reason);
        }
        Ok(())
    }

    /// Tries to get the lock; returns what keeps it from that.
    fn take(&mut self, cx: &mut Context) -> Result<Option<Told>, BoxError> {
        let mut connection = cx.database(DUTY)?;
        let failed = |error| cx.locate(DB, Error::failed("cannot take the ticker's lock").caused_by(error));
        let answer = connection.simple_query(sql::TAKE_DUTY).map_err(failed)?;
        let taken = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        if taken == Some("t") {
            connection.simple_query(crate::sql::batch::KEEP_LOCK).map_err(failed)?;
            self.held = Some(connection);
            return Ok(None);
        }
        connection.simple_query("rollback").map_err(failed)?;
        Ok(Some(if taken.is_some() { Told::Standby } else { Told::Recovery }))
    }

    /// Says why it stands by, when that is news.
    fn tell_once(&mut self, cx: &mut Context, reason: Told) {
        if self.told.replace(reason) != Some(reason) {
            let why = match reason {
                Told::Recovery => "this server is a standby",
                _ => "another ticker is at work",
            };
            info!("{}: {why}, standing by", cx.databases().label(DB));
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
