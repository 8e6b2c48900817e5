//! The way to the mail server, one connection for the mails of a batch.

use std::time::Instant;

use dbscript::DataError;
use lettre::Message;
use log::{debug, warn};

use crate::connection::Connection;
use crate::server::Server;
use crate::trouble::Trouble;

/// After so many mails in turn that got no answer, the server counts as away.
const MOST_UNANSWERED: u32 = 3;

/// Sends mails over one connection, which is opened for the first and closed together with this value.
pub(crate) struct Postbox<'a> {
    server: &'a Server,
    connection: Option<Connection>,
    /// Why there is no connection, which is tried once.
    closed: Option<Trouble>,
    sent: u64,
    /// How many mails in turn got no answer in time.
    unanswered: u32,
}

impl Postbox<'_> {
    pub(crate) fn new(server: &Server) -> Postbox<'_> {
        Postbox { server, connection: None, closed: None, sent: 0, unanswered: 0 }
    }

    /// Returns how many mails the server has taken.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Sends a mail. A server that cannot be reached, does not answer again and again, or refuses the login, is not
    /// tried for the next one.
    ///
    /// # Errors
    ///
    /// Why it was not sent.
    pub(crate) fn send(&mut self, mail: &Message) -> Result<(), Trouble> {
        if let Some(trouble) = &self.closed {
            return Err(trouble.clone());
        }
        let result = self.attempt(mail);
        if let Err(trouble @ (Trouble::Away(_) | Trouble::Login(_))) = &result {
            self.closed = Some(trouble.clone());
        }
        self.sent += u64::from(result.is_ok());
        result
    }

    fn attempt(&mut self, mail: &Message) -> Result<(), Trouble> {
        if let Some(connection) = self.connection.take() {
            match self.send_over(connection, mail) {
                // Servers limit how long they listen, and how much they take at a time.
                Err(Trouble::Away(reason)) => {
                    debug!("connecting to the mail server again: {}", reason.for_log());
                }
                result => return result,
            }
        }
        let connection = self.server.connect().inspect_err(|trouble| {
            if let Trouble::Away(reason) = trouble {
                self.report(reason.for_log());
            }
        })?;
        let begin = Instant::now();
        match self.send_over(connection, mail) {
            // It may be this mail at which the server stumbles.
            Err(Trouble::Away(reason)) => Err(self.later(reason, begin)),
            result => {
                self.unanswered = 0;
                result
            }
        }
    }

    /// Lets a mail wait, and the others too when the server has left several without an answer.
    fn later(&mut self, reason: DataError, begin: Instant) -> Trouble {
        let is_late = begin.elapsed() >= self.server.patience();
        self.unanswered = if is_late { self.unanswered + 1 } else { 0 };
        match self.unanswered {
            MOST_UNANSWERED => {
                warn!(
                    "mails have to wait: the mail server leaves {MOST_UNANSWERED} mails in turn without an answer"
                );
                Trouble::Away(reason)
            }
            _ => Trouble::Later(reason),
        }
    }

    /// Logs why no mail can be sent, once a minute as a warning.
    fn report(&self, reason: &str) {
        match self.server.throttle.admit(reason) {
            Some(0) => warn!("mails have to wait: {reason}"),
            Some(more) => warn!("mails have to wait: {reason} ({more} times more since the last line)"),
            None => debug!("mails have to wait: {reason}"),
        }
    }

    /// Sends a mail, and keeps the connection unless the library has closed it after a refusal.
    fn send_over(&mut self, mut connection: Connection, mail: &Message) -> Result<(), Trouble> {
        let sent = connection.send(mail).map_err(|error| Trouble::with_mail(&error));
        self.connection = (!connection.has_broken()).then_some(connection);
        sent
    }
}

impl Drop for Postbox<'_> {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.connection.as_mut().map(Connection::quit) {
            debug!("the mail server took no leave: {error}");
        }
    }
}
