//! Giving up a connection whose server has stopped answering.

use std::thread;
use std::time::Duration;

use postgres::Client;

use crate::database::transport::AbortHandle;
use crate::shortened::shortened;

/// How long a server may take to answer an empty statement. It has nothing else to do for the connection then.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Asks a server for a sign of life, and ends a connection without one.
///
/// The driver never closes a connection that waits for an answer, so dropping the client would wait with it.
#[derive(Clone)]
pub(crate) struct Lifeline {
    /// `None` for a local socket that the driver has opened by itself.
    abort: Option<AbortHandle>,
}

impl Lifeline {
    pub(crate) fn new(abort: Option<AbortHandle>) -> Lifeline {
        Lifeline { abort }
    }

    /// Waits until the server answers an empty statement, for five seconds at most. A connection without
    /// a handle has no limit.
    ///
    /// # Errors
    ///
    /// When it does not, or the connection is lost; it can only be closed then.
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
    /// When it does not, or the connection is lost; it is closed then.
    pub(crate) fn ask(&self, mut client: Client) -> Result<Client, postgres::Error> {
        let Err(silent) = client.is_valid(shortened(ANSWER_LIMIT)) else { return Ok(client) };
        match &self.abort {
            Some(abort) => abort.set_aborted(true),
            // However long that takes. Without a thread to do it, it is done here.
            None => drop(thread::Builder::new().name("close".to_owned()).spawn(move || drop(client))),
        }
        Err(silent)
    }
}
