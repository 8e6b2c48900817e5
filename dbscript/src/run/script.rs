//! Scripts: the work of a loop.

use crate::control::Control;
use crate::database::connection::Connection;
use crate::database::databases::Databases;
use crate::error::{BoxError, Error};
use crate::stats::Stats;

/// The result of a round, which decides whether the loop sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Round {
    /// There was work, and there may be more. The next round follows at once.
    Worked,
    /// There was nothing to do. The loop sleeps before the next round.
    Idle,
}

/// The work of a looping program. Skytools: `DBScript`.
pub trait Script {
    /// Prepares the loop.
    ///
    /// # Errors
    ///
    /// Any error ends the program. After a reload, the old script continues instead.
    fn startup(&mut self, _cx: &mut Context) -> Result<(), BoxError> {
        Ok(())
    }

    /// Does one round of work.
    ///
    /// # Errors
    ///
    /// Any error fails the round: the loop logs it, closes its connections, waits and continues. An [`Error`] of the
    /// kind [`Usage`](crate::ErrorKind::Usage) or [`Fatal`](crate::ErrorKind::Fatal) ends the program.
    fn work(&mut self, cx: &mut Context) -> Result<Round, BoxError>;

    /// Returns true if the last successful round resets a service manager's watchdog. Defaults to true.
    ///
    /// The loop calls this method after each successful round, and repeatedly while it sleeps.
    fn is_alive(&self) -> bool {
        true
    }

    /// Cleans up after the last round. An aborted loop does not call this method.
    ///
    /// After a reload, the loop calls the method of the old script as soon as the new script has started up.
    fn shutdown(&mut self, _cx: &mut Context) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<S: Script + ?Sized> Script for Box<S> {
    fn startup(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        (**self).startup(cx)
    }

    fn work(&mut self, cx: &mut Context) -> Result<Round, BoxError> {
        (**self).work(cx)
    }

    fn is_alive(&self) -> bool {
        (**self).is_alive()
    }

    fn shutdown(&mut self, cx: &mut Context) -> Result<(), BoxError> {
        (**self).shutdown(cx)
    }
}

/// The environment of a [`Script`]: databases, statistics, and the loop's control.
pub struct Context {
    pub(crate) databases: Databases,
    pub(crate) stats: Stats,
    pub(crate) control: Control,
    pub(crate) status: Option<String>,
    pub(crate) ending: bool,
}

impl Context {
    /// Creates a context.
    pub fn new(databases: Databases, control: Control) -> Context {
        Context { databases, stats: Stats::default(), control, status: None, ending: false }
    }

    /// Returns true if the loop ends after this round, or instead of the sleep after an idle round.
    pub fn is_ending(&self) -> bool {
        self.ending
    }

    /// Returns the connection of the database `name`, opened at first use. See [`Databases::get`].
    ///
    /// # Errors
    ///
    /// Fails as [`Databases::get`] does.
    pub fn database(&mut self, name: &str) -> Result<Connection, Error> {
        self.databases.get(name)
    }

    /// Listens on a channel of a database: a notification ends the sleep between rounds. See [`Databases::listen`].
    pub fn listen(&mut self, name: &str, channel: &str) {
        self.databases.listen(name, channel);
    }

    /// Adds the label of a database to an error: the name here, and database, host, port and user. The error keeps its
    /// kind.
    pub fn locate(&self, name: &str, error: impl Into<Error>) -> Error {
        Error::failed(self.databases.label(name)).caused_by(error.into())
    }

    /// Returns the set of databases.
    pub fn databases(&mut self) -> &mut Databases {
        &mut self.databases
    }

    /// Returns the statistics of this round, which the loop logs at its end.
    pub fn stats(&mut self) -> &mut Stats {
        &mut self.stats
    }

    /// Sets the status line for the service manager, if any: a few words about the program's current work.
    ///
    /// Defaults to the statistics of the last round that had any.
    pub fn set_status(&mut self, status: impl Into<String>) {
        self.status = Some(status.into());
    }

    /// Returns the handle that stops the loop.
    pub fn control(&self) -> &Control {
        &self.control
    }
}
