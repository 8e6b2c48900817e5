//! What in a database does not fit: sequences behind their tables, ids of another server's transactions, ticks from
//! the future, consumers that share an id. A restore, a logical migration, a failover or a changed clock leaves it
//! behind.
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
pub(crate) use self::read::{at_a_glance, inspect_at_most};
pub use self::repair::{Repair, repair};

/// How every message about such a database ends.
pub(crate) const ADVICE: &str = "the database was moved or restored; `pgqadm CONFIG.ini repair` mends it";
