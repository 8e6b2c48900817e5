//! The config file: what Skytools reads from it, and what the programs make of it.

mod compare;
mod different;
mod generated;
mod peer;
mod same;
