//! What of others goes, stays or comes back: objects that depend on the schemas, and dumps.

mod dependents;
mod dumps;
mod foreign;
mod missing_tables;
mod roles;
