//! Errors of other drivers than `postgres`.

use std::error::Error as StdError;
use std::fmt;

use postgres::error::SqlState;

use super::BoxError;
use super::server_error::{self, ServerMessage};
use super::state_class::StateClass;
use crate::data_error::DataError;

/// An error that another driver than `postgres` reports, with the facts that this crate needs.
///
/// [`sqlstate`](crate::sqlstate), [`is_connection_error`](crate::is_connection_error) and
/// [`describe`](crate::describe) treat it as an error of `postgres`. The driver's own error is its
/// [`source`](StdError::source).
///
/// ```
/// use dbscript::{DriverError, ServerMessage, describe, sqlstate};
///
/// let message = ServerMessage {
///     severity: "ERROR",
///     sqlstate: Some("22P02"),
///     message: "invalid input syntax for type integer: \"4711 Main St\"",
///     ..ServerMessage::default()
/// };
/// let error = DriverError::server(&message).caused_by("the error of the driver");
/// assert_eq!(describe(&error), "ERROR 22P02: invalid input syntax for type integer: \"…\"");
/// assert_eq!(sqlstate(&error).map(|state| state.code()), Some("22P02"));
/// ```
pub struct DriverError {
    state: Option<SqlState>,
    is_connection: bool,
    /// The server's message, if it reported the error.
    message: Option<DataError>,
    source: Option<BoxError>,
}

impl DriverError {
    /// Makes an error that the server reports. An SQLSTATE that means a failed connection makes it a connection error.
    pub fn server(message: &ServerMessage<'_>) -> DriverError {
        let state = message.sqlstate.map(SqlState::from_code);
        DriverError {
            is_connection: state.as_ref().is_some_and(|state| StateClass::Connection.contains(state)),
            state,
            message: Some(DataError::new(server_error::in_full(message), server_error::for_log(message))),
            source: None,
        }
    }

    /// Makes an error of a connection that is refused or lost.
    pub fn connection() -> DriverError {
        DriverError::other().lost_connection()
    }

    /// Makes an error of the driver itself, for instance of a value that it cannot encode.
    pub fn other() -> DriverError {
        DriverError { state: None, is_connection: false, message: None, source: None }
    }

    /// Marks the error as one of the connection.
    pub fn lost_connection(self) -> DriverError {
        DriverError { is_connection: true, ..self }
    }

    /// Sets the driver's own error.
    pub fn caused_by(self, source: impl Into<BoxError>) -> DriverError {
        DriverError { source: Some(source.into()), ..self }
    }

    /// Returns the SQLSTATE, if the driver reports one.
    pub fn sqlstate(&self) -> Option<&SqlState> {
        self.state.as_ref()
    }

    /// Returns whether the connection to the server is what failed.
    pub fn is_connection(&self) -> bool {
        self.is_connection
    }

    /// Returns the server's message.
    pub(super) fn message(&self) -> Option<&DataError> {
        self.message.as_ref()
    }
}

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.message, &self.source) {
            (Some(message), _) => message.fmt(f),
            (None, Some(source)) => source.fmt(f),
            (None, None) if self.is_connection => f.write_str("the connection failed"),
            (None, None) => f.write_str("the driver failed"),
        }
    }
}

/// Shows the text for logs, since the message of a panic uses `Debug`.
impl fmt::Debug for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => message.fmt(f),
            None => f.debug_tuple("DriverError").field(&self.source).finish(),
        }
    }
}

impl StdError for DriverError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, describe, describe_in_full, is_connection_error, sqlstate};

    fn wrapped(error: DriverError) -> Error {
        Error::failed("cannot insert").caused_by(error)
    }

    #[test]
    fn the_message_of_the_server_stands_once() {
        let message = ServerMessage {
            severity: "ERROR",
            sqlstate: Some("40001"),
            message: "could not serialize access",
            hint: Some("Retry."),
            ..ServerMessage::default()
        };
        let error = wrapped(DriverError::server(&message).caused_by("database: could not serialize access"));
        let line = "cannot insert: ERROR 40001: could not serialize access; Retry.";
        assert_eq!((describe(&error), describe_in_full(&error)), (line.to_owned(), line.to_owned()));
        assert_eq!(sqlstate(&error), Some(&SqlState::T_R_SERIALIZATION_FAILURE));
        assert!(!is_connection_error(&error));
    }

    #[test]
    fn a_message_without_sqlstate_may_quote_data() {
        let message = ServerMessage {
            severity: "ERROR",
            message: "invalid input syntax for type integer: \"secret\"",
            detail: Some("secret"),
            ..ServerMessage::default()
        };
        let error = wrapped(DriverError::server(&message).caused_by("driver"));
        let shown = "cannot insert: ERROR: invalid input syntax for type integer: ";
        assert_eq!(describe(&error), format!("{shown}\"…\""));
        assert_eq!(describe_in_full(&error), format!("{shown}\"secret\"; secret"));
        assert!(sqlstate(&error).is_none());
    }

    #[test]
    fn lost_connections_are_recognized() {
        let message =
            ServerMessage { severity: "FATAL", sqlstate: Some("57P01"), ..ServerMessage::default() };
        assert!(is_connection_error(&wrapped(DriverError::server(&message).caused_by("driver"))));
        let closed = wrapped(DriverError::connection().caused_by("the pool is closed"));
        assert!(is_connection_error(&closed));
        assert_eq!(describe(&closed), "cannot insert: the pool is closed");
        assert!(!is_connection_error(&wrapped(DriverError::other().caused_by("no such column"))));
    }
}
