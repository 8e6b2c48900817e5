//! Cancelling what a connection runs.

use postgres::CancelToken;

use crate::tls::{Connector, Progress, Protection};

/// Cancels the running statement of one connection, over a connection that is encrypted like it.
#[derive(Clone)]
pub(crate) struct Canceller {
    token: CancelToken,
    connector: Connector,
}

impl Canceller {
    pub(crate) fn new(token: CancelToken, protection: Protection) -> Canceller {
        Canceller { token, connector: Connector::new(protection, Progress::default()) }
    }

    /// Asks the server to cancel; it does not tell whether there was anything.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached.
    pub(crate) fn cancel(&self) -> Result<(), postgres::Error> {
        self.token.cancel_query(self.connector.clone())
    }
}
