//! Errors of `sqlx` as errors of this crate.

use dbscript::{DriverError, ServerMessage};
use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::error::{At, Error};

/// Makes the error of a step that failed on a queue.
pub(super) fn failed(queue: &str, what: &str, error: sqlx::Error) -> Error {
    At::queue(queue).failed(what, driver_error(error))
}

/// Makes an error with the SQLSTATE and the server's message.
pub fn driver_error(error: sqlx::Error) -> DriverError {
    let is_connection = matches!(
        error,
        sqlx::Error::Io(_) | sqlx::Error::PoolClosed | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed
    );
    match error.as_database_error().and_then(|answer| answer.try_downcast_ref::<PgDatabaseError>()) {
        Some(answer) => {
            let message = ServerMessage {
                severity: severity(answer.severity()),
                sqlstate: Some(answer.code()),
                message: answer.message(),
                detail: answer.detail(),
                hint: answer.hint(),
                file: answer.file(),
                context: answer.r#where(),
            };
            DriverError::server(&message).caused_by(error)
        }
        None if is_connection => DriverError::connection().caused_by(error),
        None => DriverError::other().caused_by(error),
    }
}

fn severity(severity: PgSeverity) -> &'static str {
    match severity {
        PgSeverity::Fatal => "FATAL",
        PgSeverity::Panic => "PANIC",
        _ => "ERROR",
    }
}
