//! The reasons why hosts refused a connection.

use std::error::Error as StdError;
use std::fmt;

use postgres::config::Host;

use super::attempt::{Place, UnwantedSession};
use crate::database::conninfo::{Endpoint, Target};
use crate::error::{BoxError, Error, describe, is_connection_error};

/// Returns true if the next host should be tried, because this host is unreachable or offers another kind of session.
/// As in libpq, a host that refuses the user or cannot prove its identity ends the search.
pub(super) fn next_may_accept(error: &(dyn StdError + 'static)) -> bool {
    is_connection_error(error) || error.is::<UnwantedSession>()
}

/// The tried hosts with their reasons.
#[derive(Debug, Default)]
pub(super) struct Refusals(Vec<(String, BoxError)>);

impl Refusals {
    pub(super) fn add(&mut self, endpoint: &Endpoint, place: Option<&Place>, error: BoxError) {
        let host = match &endpoint.host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(folder) => folder.display().to_string(),
        };
        let address = match place {
            Some(Place::Address { address, .. }) => format!(" ({address})"),
            _ => String::new(),
        };
        self.0.push((format!("{host}:{}{address}", endpoint.port), error));
    }

    /// Returns true if all hosts were unreachable.
    fn are_connection_errors(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|(_, error)| is_connection_error(&**error))
    }

    /// Makes the error of a failed connection.
    pub(super) fn into_error(mut self, target: &Target) -> Error {
        let message = format!("cannot connect to {target}{}", self.hint());
        let error = match self.are_connection_errors() {
            true => Error::connection(message),
            false => Error::failed(message),
        };
        match self.0.pop() {
            Some((_, only)) if self.0.iter().all(|(_, other)| describe(&**other) == describe(&*only)) => {
                error.caused_by(only)
            }
            Some(last) => {
                self.0.push(last);
                error.caused_by(self)
            }
            None => error,
        }
    }

    fn hint(&self) -> &'static str {
        let all =
            |test: fn(&(dyn StdError + 'static)) -> bool| self.0.iter().all(|(_, error)| test(&**error));
        // If no server has answered, the hint asks whether one is running.
        if all(|error| is_connection_error(error) && crate::error::sqlstate(error).is_none()) {
            " (is the server running there?)"
        } else if all(lacks_password) {
            ": set `password`, PGPASSWORD or ~/.pgpass"
        } else {
            ""
        }
    }
}

/// Returns true if the server requires a password that is not set. Only the text of the driver's error shows this.
fn lacks_password(error: &(dyn StdError + 'static)) -> bool {
    error.source().is_some_and(|cause| cause.to_string() == "password missing")
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> =
            self.0.iter().map(|(place, error)| format!("{place}: {}", describe(&**error))).collect();
        f.write_str(&lines.join("; "))
    }
}

impl StdError for Refusals {}
