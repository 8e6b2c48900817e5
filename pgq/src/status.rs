//! The status of a database's queues: positions, lags, pending events, and what holds up rotations.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use pgq::postgres::{Client, NoTls};
//! use pgq::status::Status;
//!
//! let mut client = Client::connect("dbname=queries", NoTls)?;
//! for queue in Status::read(&mut client)?.queues {
//!     for consumer in queue.consumers {
//!         println!("{} of {}: {:?} behind", consumer.name, queue.name, consumer.lag);
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod check;
mod consumer_status;
mod json;
mod limits;
pub mod metrics;
mod old_snapshot;
mod query;
mod queue_status;
mod read;
mod rotation;
mod rotation_blocker;
mod text;
mod ticker_session;

use chrono::{DateTime, Utc};
use postgres::GenericClient;
use serde::Serialize;

pub use self::check::Verdict;
pub use self::consumer_status::{ConsumerStatus, Cooperation};
pub use self::limits::{Limit, Limits};
pub use self::old_snapshot::OldSnapshot;
pub use self::queue_status::{QueueStatus, Rotation, TickThresholds};
pub use self::rotation_blocker::RotationBlocker;
pub use self::ticker_session::TickerSession;
use crate::admin::integrity::Finding;
pub use crate::admin::integrity::level::Level;
use crate::admin::queue_lookup;
use crate::error::Error;
pub use crate::lock::transaction::Transaction;
use crate::lock::{LockHolder, held_by};
use crate::schema::Kind;

/// The status of all queues of a database at one moment.
///
/// Times are the server's. A value that this role may not read is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// The database's name.
    pub database: String,
    /// The server's version.
    pub server_version: String,
    /// The result of `pgq.version()`.
    pub pgq_version: String,
    /// The installed kind of PgQ; `None` for one that neither the extension nor this crate has created.
    #[serde(serialize_with = "json::text_opt")]
    pub schema: Option<Kind>,
    /// The server's time when the status was read.
    #[serde(serialize_with = "json::moment")]
    pub time: DateTime<Utc>,
    /// The sessions that hold the ticker's lock, or another lock that ticks need, although their role may not tick. Any
    /// session can take these locks; tickers of this release tick without them if necessary.
    #[serde(rename = "strangers_to_ticks")]
    pub unentitled_lock_holders: Vec<LockHolder>,
    /// The sessions of tickers, the leader first, as far as their locks show them. A standby behind a pooler is not
    /// listed, nor is `pgqd`.
    pub tickers: Vec<TickerSession>,
    /// The queues, ordered by name.
    pub queues: Vec<QueueStatus>,
    /// The inconsistencies that can be found without reading events, the most severe first.
    /// [`integrity::inspect`](crate::admin::integrity::inspect) finds the other ones too.
    pub findings: Vec<Finding>,
    /// The snapshots that keep row versions in this database, the oldest first. Positions of the own schema stay fast under
    /// them (the extension's do not), but other tables of the database do not.
    pub old_snapshots: Vec<OldSnapshot>,
}

impl Status {
    /// Reads the status of all queues. Sends six statements, or up to eight when a rotation is due.
    ///
    /// Every role that can connect may read the status, with these limits:
    ///
    /// - Without rights on the tables of retry events and failed events, their counts are `None`.
    /// - An ordinary role sees the process and the user of another user's transaction, not its age and state.
    /// - An ordinary role sees the process and the user of another user's old snapshot, and as its age that of the first
    ///   later tick.
    /// - On a standby, a transaction that holds up a rotation has no details, and users of tables are not listed.
    ///
    /// # Errors
    ///
    /// When PgQ is not installed ([`ErrorKind::Missing`](crate::ErrorKind::Missing)), and when the server fails.
    pub fn read(client: &mut impl GenericClient) -> Result<Status, Error> {
        read::read(client)
    }

    /// Returns one line for the sessions that hold a lock of ticks without being allowed to tick, if there are any, and
    /// one line with advice for each finding.
    pub fn problems(&self) -> Vec<String> {
        let holders = (!self.unentitled_lock_holders.is_empty()).then(|| {
            let who = held_by("a lock of ticks", &self.unentitled_lock_holders);
            format!("{who}, whose role may not tick")
        });
        let findings = self.findings.iter().map(|finding| format!("{finding}; {}", finding.advice()));
        holders.into_iter().chain(findings).collect()
    }

    /// Returns the status of one queue, with the findings that concern the queue or all queues.
    ///
    /// # Errors
    ///
    /// When the queue does not exist ([`ErrorKind::Missing`](crate::ErrorKind::Missing)).
    pub fn only(mut self, queue: &str) -> Result<Status, Error> {
        self.queues.retain(|status| status.name == queue);
        self.findings.retain(|finding| finding.queue.as_deref().is_none_or(|name| name == queue));
        if self.queues.is_empty() { Err(queue_lookup::missing_queue(queue)) } else { Ok(self) }
    }
}
