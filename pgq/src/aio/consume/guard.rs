//! The consumer's lock on a connection of its own.

use std::future::Future;

use dbscript::{AsyncConnection, BoxError, Session};

use super::connections::BEGIN;
use crate::consume::run::subscription::Subscription;
use crate::error::{At, Error};
use crate::lock;
use crate::sql;

/// Holds the consumer's lock, as the guard of the blocking face does.
pub(super) struct Guard {
    connection: AsyncConnection,
    /// Whether a transaction may be open.
    has_begun: bool,
    is_held: bool,
}

impl Guard {
    pub(super) fn new(connection: AsyncConnection) -> Guard {
        Guard { connection, has_begun: false, is_held: false }
    }

    pub(super) fn is_held(&self) -> bool {
        self.is_held
    }

    /// Takes the lock.
    ///
    /// # Errors
    ///
    /// Fails if another process holds it ([`ErrorKind::Busy`](crate::ErrorKind::Busy)), and if the server fails.
    pub(super) async fn hold(&mut self, subscription: &Subscription) -> Result<(), Error> {
        self.roll_back();
        let queue = &subscription.settings().queue;
        let failed =
            |error: postgres::Error| At::queue(queue).failed("cannot take the consumer's lock", error);
        self.has_begun = true;
        self.connection.run(BEGIN).await.map_err(failed)?;
        let taken = lock::take(&mut self.connection, queue, &subscription.lock_name()).await;
        if taken.is_err() {
            // A consumer that stands by has no transaction open.
            self.roll_back();
        }
        taken?;
        self.connection.run(sql::batch::KEEP_LOCK).await.map_err(failed)?;
        self.is_held = true;
        Ok(())
    }

    fn roll_back(&mut self) {
        if std::mem::take(&mut self.has_begun) {
            self.connection.send("rollback");
        }
    }

    /// Checks that the connection works.
    pub(super) async fn check(&self) -> Result<(), BoxError> {
        self.connection.check().await
    }

    pub(super) fn is_lost(&self) -> bool {
        self.connection.is_closed()
    }

    /// Waits until the connection is lost, and with it the lock.
    pub(super) fn lost(&self) -> impl Future<Output = ()> + Send + 'static {
        self.connection.lost()
    }
}
