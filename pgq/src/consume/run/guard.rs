//! The consumer's lock, for a consumer that keeps no transaction open while it works.

use dbscript::{BoxError, Connection, Context, describe, ready};
use log::warn;

use crate::consume::run::subscription::Subscription;
use crate::error::{At, Error, ErrorKind};
use crate::lock;
use crate::sql;

/// Holds the lock in a transaction of a connection of its own: a pooler hands out transactions, and the server ends
/// them when the process dies. It has neither a snapshot nor an id, so it holds up neither vacuum nor rotation.
#[derive(Default)]
pub(crate) struct Guard {
    held: Option<Connection>,
    /// The connection of one that stands by.
    waiting: Option<Connection>,
}

impl Guard {
    /// Makes sure that the lock is held; `db` is the name of the queue's database.
    ///
    /// # Errors
    ///
    /// When another process has it ([`ErrorKind::Busy`](crate::ErrorKind::Busy)), and when the server fails.
    pub(crate) fn hold(
        &mut self,
        cx: &mut Context,
        db: &str,
        subscription: &Subscription,
    ) -> Result<(), BoxError> {
        if let Some(connection) = &mut self.held {
            match connection.check() {
                Ok(_) => return Ok(()),
                Err(error) => warn!("lost the consumer's lock: {}", describe(&error)),
            }
            self.held = None;
        }
        // One that waited may have been closed by the server meanwhile.
        let waiting = self.waiting.take().and_then(|mut one| one.check().is_ok().then_some(one));
        let mut connection = match waiting {
            Some(connection) => connection,
            None => another(cx, db)?,
        };
        match take(&mut connection, subscription) {
            Ok(()) => self.held = Some(connection),
            Err(error) if error.kind() == ErrorKind::Busy => {
                self.waiting = Some(connection);
                return Err(error.into());
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

fn another(cx: &mut Context, db: &str) -> Result<Connection, BoxError> {
    let name = format!("{db}, lock");
    cx.databases().close(&name);
    cx.databases().set_another(&name, db);
    Ok(cx.database(&name)?)
}

const BEGIN_LOCK: &str = "begin isolation level read committed";

fn take(connection: &mut Connection, subscription: &Subscription) -> Result<(), Error> {
    let (queue, name) = (&subscription.settings().queue, subscription.lock_name());
    let failed = |error: BoxError| At::queue(queue).failed("cannot take the consumer's lock", error);
    connection.batch_execute(BEGIN_LOCK).map_err(|error| failed(error.into()))?;
    if let Err(error) = ready(lock::take(&mut **connection, queue, &name)) {
        // The lock is another's, or the connection is broken, which the next attempt finds out.
        let _ = connection.batch_execute("rollback");
        return Err(error);
    }
    connection.batch_execute(sql::batch::KEEP_LOCK).map_err(|error| failed(error.into()))
}
