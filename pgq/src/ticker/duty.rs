//! Who ticks: one ticker for each database; others stand by.

use std::time::{Duration, Instant};

use dbscript::{BoxError, Connection, Context};
use log::{info, warn};
use postgres::SimpleQueryMessage;

use super::round::DB;
use crate::sql::ticker as sql;

/// How often the connection that holds the lock is looked at, and how often another ticker asks for it.
const LOOK: Duration = Duration::from_secs(1);

/// The name of the connection that holds the lock.
pub(super) const DUTY: &str = "duty";

/// The lock of the ticker that is at work. A transaction on a connection of its own holds it: a pooler hands
/// out transactions, and the server ends them when the ticker dies.
#[derive(Default)]
pub(super) struct Duty {
    held: Option<Connection>,
    looked: Option<Instant>,
    told: bool,
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
        self.looked = Some(Instant::now());
        if let Some(connection) = &mut self.held {
            match connection.simple_query("") {
                Ok(_) => return Ok(()),
                Err(error) => warn!("lost the ticker's lock: {}", dbscript::describe(&error)),
            }
            self.held = None;
            cx.databases().close(DUTY);
        }
        let result = self.take(cx);
        if result.is_err() {
            cx.databases().close(DUTY);
        }
        result
    }

    fn take(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        let mut connection = cx.database(DUTY)?;
        let failed =
            |error: postgres::Error| crate::Error::failed("cannot take the ticker's lock").caused_by(error);
        let answer = connection.simple_query(sql::TAKE_DUTY).map_err(failed)?;
        let taken = answer
            .iter()
            .any(|message| matches!(message, SimpleQueryMessage::Row(row) if row.get(0) == Some("t")));
        if taken {
            connection.batch_execute(crate::sql::KEEP_LOCK)?;
            let what = if self.told { "the other ticker is gone, taking over" } else { "ticking" };
            info!("{}: {what}", cx.databases().label(DB));
            self.held = Some(connection);
        } else {
            connection.batch_execute("rollback")?;
            if !self.told {
                info!("{}: another ticker is at work, standing by", cx.databases().label(DB));
            }
        }
        self.told = !taken;
        Ok(())
    }

    /// Gives the lock back.
    pub(super) fn end(&mut self, cx: &mut Context) {
        if let Some(mut connection) = self.held.take() {
            // What the server does not hear it sees when the connection is closed.
            let _ = connection.batch_execute("rollback");
        }
        cx.databases().close(DUTY);
    }
}
