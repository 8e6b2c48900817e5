//! Cancelling the running statement of a connection.

use std::time::Instant;

use postgres::CancelToken;

use crate::control::Cancel;
use crate::database::transport::{Connector, Progress, Protection};

/// Cancels the running statement of one connection. The request uses a connection with the same protection.
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
    /// Waits until the server closes the connection or `limit` has passed. As in libpq, the client does not close
    /// first, which pgbouncer before 1.19 does not survive.
    fn cancel(&self, limit: Instant) {
        // If another program listens at the address, the driver connects to that program and sends nothing.
        let _stand_in = match &self.protection {
            Protection::Local(local) => local.listen().ok(),
            _ => None,
        };
        // A server that cannot be reached has nothing to cancel.
        let _ = self
            .token
            .cancel_query(Connector::new(self.protection.clone(), Progress::closed_by_server(limit)));
    }
}
