//! Cancelling what a connection runs.

use std::time::Instant;

use postgres::CancelToken;

use crate::control::Cancel;
use crate::database::transport::{Connector, Progress, Protection};

/// Cancels the running statement of one connection, over a connection that is encrypted like it.
pub(crate) struct Canceller {
    token: CancelToken,
    protection: Protection,
}

impl Canceller {
    pub(crate) fn new(token: CancelToken, protection: Protection) -> Canceller {
        Canceller { token, protection }
    }
}

impl Cancel for Canceller {
    /// Waits until the server closes the connection or the time is up, as libpq does: a pgbouncer before 1.19 does not
    /// survive that the other side closes first.
    fn cancel(&self, limit: Instant) {
        // Where somebody else listens, the driver connects to them, and nothing is sent there.
        let _stand_in = match &self.protection {
            Protection::Local(local) => local.listen().ok(),
            _ => None,
        };
        // A server that cannot be reached has nothing to cancel.
        let _ = self.token.cancel_query(Connector::new(self.protection.clone(), Progress::lingering(limit)));
    }
}
