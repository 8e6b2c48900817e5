//! The transport of mails: one connection to the mail server for each batch.

use std::time::Instant;

use dbscript::DataError;
use lettre::Message;
use log::{debug, warn};

use crate::connection::Connection;
use crate::send_error::SendError;
use crate::server::Server;

/// The number of consecutive mails without an answer after which the server counts as unreachable.
const MAX_UNANSWERED: u32 = 3;

/// Sends mails over one connection, which the first mail opens. Dropping the transport closes the connection.
pub(crate) struct Transport<'a> {
    server: &'a Server,
    connection: Option<Connection>,
    /// The error that has closed the transport for the rest of the batch.
    closed_by: Option<SendError>,
    sent: u64,
    /// The number of consecutive mails without an answer in time.
    unanswered: u32,
}

impl Transport<'_> {
    pub(crate) fn new(server: &Server) -> Transport<'_> {
        Transport { server, connection: None, closed_by: None, sent: 0, unanswered: 0 }
    }

    /// Returns the number of mails that the server has accepted.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Sends a mail. After a failed connection, a refused login, or several mails without an answer, all later mails
    /// fail at once with the same error.
    ///
    /// # Errors
    ///
    /// The reason why the mail was not sent.
    pub(crate) fn send(&mut self, mail: &Message) -> Result<(), SendError> {
        if let Some(error) = &self.closed_by {
            return Err(error.clone());
        }
        let result = self.attempt(mail);
        if let Err(error @ (SendError::Unreachable(_) | SendError::Login(_))) = &result {
            self.closed_by = Some(error.clone());
        }
        self.sent += u64::from(result.is_ok());
        result
    }

    fn attempt(&mut self, mail: &Message) -> Result<(), SendError> {
        if let Some(connection) = self.connection.take() {
            match self.send_over(connection, mail) {
                // Servers limit the duration of connections and the number of mails.
                Err(SendError::Unreachable(reason)) => {
                    debug!("connecting to the mail server again: {}", reason.for_log());
                }
                result => return result,
            }
        }
        let connection = self.server.connect().inspect_err(|error| {
            if let SendError::Unreachable(reason) = error {
                self.report(reason.for_log());
            }
        })?;
        let begin = Instant::now();
        match self.send_over(connection, mail) {
            // The server may fail because of this mail only.
            Err(SendError::Unreachable(reason)) => Err(self.defer(reason, begin)),
            result => {
                self.unanswered = 0;
                result
            }
        }
    }

    /// Defers a mail, and all later ones when the server has not answered for several mails.
    fn defer(&mut self, reason: DataError, begin: Instant) -> SendError {
        let is_late = begin.elapsed() >= self.server.answer_timeout();
        self.unanswered = if is_late { self.unanswered + 1 } else { 0 };
        match self.unanswered {
            MAX_UNANSWERED => {
                warn!(
                    "mails are deferred: no answer of the mail server for {MAX_UNANSWERED} consecutive mails"
                );
                SendError::Unreachable(reason)
            }
            _ => SendError::Deferred(reason),
        }
    }

    /// Logs the reason why no mail can be sent, once a minute as a warning.
    fn report(&self, reason: &str) {
        match self.server.throttle.admit(reason) {
            Some(0) => warn!("mails are deferred: {reason}"),
            Some(more) => warn!("mails are deferred: {reason} ({more} times more since the last line)"),
            None => debug!("mails are deferred: {reason}"),
        }
    }

    /// Sends a mail, and keeps the connection unless `lettre` has closed it after a refusal.
    fn send_over(&mut self, mut connection: Connection, mail: &Message) -> Result<(), SendError> {
        let sent = connection.send(mail).map_err(|error| SendError::from_smtp(&error));
        self.connection = (!connection.has_broken()).then_some(connection);
        sent
    }
}

impl Drop for Transport<'_> {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.connection.as_mut().map(Connection::quit) {
            debug!("the connection to the mail server was not closed by QUIT: {error}");
        }
    }
}
