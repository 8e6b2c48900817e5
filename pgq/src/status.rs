//! The status of a database's queues: positions, lags, what waits, and what holds up rotation.
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
mod holder;
mod json;
mod limits;
pub mod metrics;
mod query;
mod queue_status;
mod read;
mod rotating;
mod table;

use chrono::{DateTime, Utc};
use postgres::GenericClient;
use serde::Serialize;

pub use self::check::Verdict;
pub use self::consumer_status::{ConsumerStatus, Cooperation};
pub use self::holder::Holder;
pub use self::limits::{Limit, Limits};
pub use self::queue_status::{QueueStatus, Rotation, TickThresholds};
use crate::admin::find_queue;
use crate::admin::integrity::Finding;
pub use crate::admin::integrity::level::Level;
use crate::error::Error;
pub use crate::lock::transaction::Transaction;
use crate::lock::{LockHolder, held_by};
use crate::schema::Kind;

/// The status of all queues of a database at one moment.
///
/// Times are the server's. What this role may not see is `None`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// The database's name.
    pub database: String,
    /// The server's version.
    pub server_version: String,
    /// The version that PgQ gives.
    pub pgq_version: String,
    /// Which PgQ is installed; `None` when it is of another origin.
    #[serde(serialize_with = "json::text_opt")]
    pub schema: Option<Kind>,
    /// The moment.
    #[serde(serialize_with = "json::moment")]
    pub time: DateTime<Utc>,
    /// Who has the ticker's lock, or another one that ticks need, without being allowed to tick. Anybody who can
    /// connect can take it; tickers of this release go on without it.
    pub strangers_to_ticks: Vec<LockHolder>,
    /// The queues, by name.
    pub queues: Vec<QueueStatus>,
    /// What does not fit in the database, the worst first, as far as it can be found without reading events;
    /// [`integrity::inspect`](crate::admin::integrity::inspect) finds the rest.
    pub findings: Vec<Finding>,
}

impl Status {
    /// Reads the status of all queues: five statements, or up to seven when a rotation is due.
    ///
    /// Every role may do this that can connect, and on a standby too, where a transaction that holds up a rotation has
    /// no name, and what uses a table is not known. Without rights on the tables of retry events
    /// and failed events their counts are `None`; an ordinary role sees the process and the user, but not the age
    /// and the state of another user's transaction.
    ///
    /// # Errors
    ///
    /// When PgQ is not installed ([`ErrorKind::Missing`](crate::ErrorKind::Missing)), and when the server fails.
    pub fn read(client: &mut impl GenericClient) -> Result<Status, Error> {
        read::read(client)
    }

    /// Returns a line for the strangers that hold a lock which ticks need, if there are any, and one for each finding,
    /// with the remedy.
    pub fn problems(&self) -> Vec<String> {
        let strangers = (!self.strangers_to_ticks.is_empty()).then(|| {
            let who = held_by("a lock of ticks", &self.strangers_to_ticks);
            format!("{who}, whose role may not tick")
        });
        let findings = self.findings.iter().map(|finding| format!("{finding}; {}", finding.advice()));
        strangers.into_iter().chain(findings).collect()
    }

    /// Returns the status with one queue only, and what concerns all of them.
    ///
    /// # Errors
    ///
    /// When there is no such queue ([`ErrorKind::Missing`](crate::ErrorKind::Missing)).
    pub fn only(mut self, queue: &str) -> Result<Status, Error> {
        self.queues.retain(|status| status.name == queue);
        self.findings.retain(|finding| finding.queue.as_deref().is_none_or(|name| name == queue));
        if self.queues.is_empty() { Err(find_queue::no_queue(queue)) } else { Ok(self) }
    }
}
