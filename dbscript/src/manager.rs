//! Whoever has started the program and wants to know how it is doing.

use std::time::Duration;

/// Is told how a loop is doing.
pub(crate) trait Manager {
    /// Takes a piece of news.
    fn tell(&mut self, news: News<'_>);

    /// Returns how long the loop may be silent while it sleeps, if that matters.
    fn patience(&self) -> Option<Duration>;
}

/// A piece of news.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "program"), allow(dead_code, reason = "nobody is told of it in a plain library"))]
pub(crate) enum News<'a> {
    /// The loop is up, with the configuration as it is now.
    Ready,
    /// The configuration is being read anew.
    Reloading,
    /// The loop is ending.
    Stopping,
    /// A round has succeeded.
    Alive,
    /// What the loop is doing, for people.
    Status(&'a str),
}
