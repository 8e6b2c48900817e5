//! What of others goes, stays or comes back: objects that depend on the schemas, and dumps.

mod dependents;
mod dumps;
mod missing_tables;
mod roles;
