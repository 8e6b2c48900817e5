//! Objects of other owners that depend on the schemas, and dumps: what removal and installation preserve.

mod dependents;
mod dumps;
mod foreign;
mod missing_tables;
mod roles;
