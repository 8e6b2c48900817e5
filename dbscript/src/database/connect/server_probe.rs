//! Closing a connection whose server has stopped responding.

use std::thread;
use std::time::Duration;

use postgres::Client;

use crate::database::transport::AbortHandle;
use crate::shortened::shortened;

/// The time in which a server must answer an empty statement on an idle connection.
pub(crate) const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Checks that a server answers, and ends a connection whose server does not.
///
/// The driver never closes a connection that waits for an answer, so dropping the client would wait with it.
#[derive(Clone)]
pub(crate) struct ServerProbe {
    /// `None` for a local socket that the driver has opened by itself.
    abort: Option<AbortHandle>,
}

impl ServerProbe {
    pub(crate) fn new(abort: Option<AbortHandle>) -> ServerProbe {
        ServerProbe { abort }
    }

    /// Waits until the server answers an empty statement, for five seconds at most. A connection without
    /// a handle has no limit.
    ///
    /// # Errors
    ///
    /// Fails if the server does not answer or the connection is lost; the connection must then be closed.
    pub(crate) fn check(&self, client: &mut Client) -> Result<(), postgres::Error> {
        let Some(abort) = &self.abort else {
            return client.simple_query("").map(|_| ());
        };
        let answer = client.is_valid(shortened(ANSWER_LIMIT));
        abort.set_aborted(answer.is_err());
        answer
    }

    /// Limits the time that dropping the client takes, to five seconds.
    pub(crate) fn close(&self) {
        if let Some(abort) = &self.abort {
            abort.close();
        }
    }

    /// Returns a client whose server answers an empty statement within five seconds, also without a handle.
    ///
    /// # Errors
    ///
    /// Fails if the server does not answer or the connection is lost; the connection is closed.
    pub(crate) fn require_answer(&self, mut client: Client) -> Result<Client, postgres::Error> {
        let Err(silent) = client.is_valid(shortened(ANSWER_LIMIT)) else { return Ok(client) };
        match &self.abort {
            Some(abort) => abort.set_aborted(true),
            // Closing has no limit without a handle. If no thread starts, the closure is dropped here, with the client.
            None => drop(thread::Builder::new().name("close".to_owned()).spawn(move || drop(client))),
        }
        Err(silent)
    }
}
