//! Inconsistencies in PgQ's tables: sequences behind their tables, transaction ids of another server, ticks with a time
//! in the future, consumers that share an id. A restore, a logical migration, a failover or a clock that was set back
//! may cause them.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use pgq::admin::integrity;
//! use pgq::postgres::{Client, NoTls};
//!
//! let mut client = Client::connect("dbname=queries", NoTls)?;
//! let findings = integrity::inspect(&mut client)?;
//! for finding in &findings {
//!     println!("{}: {finding}; {}", finding.level(), finding.remedy());
//! }
//! integrity::repair(&mut client, &findings)?;
//! # Ok(())
//! # }
//! ```

mod finding;
pub(crate) mod level;
mod read;
mod repair;

pub use self::finding::{Finding, Problem};
pub use self::read::inspect;
pub(crate) use self::read::{inspect_up_to, inspect_without_events};
pub use self::repair::{Repair, repair};

/// The end of messages about an inconsistent database.
pub(crate) const ADVICE: &str = "the database was moved or restored; run `pgqadm CONFIG.ini repair`";
