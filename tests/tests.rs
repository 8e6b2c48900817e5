//! The project's integration tests: real servers, real programs.

mod support;

mod admin;
mod bad_input;
mod cluster;
mod config;
mod connections;
mod conninfo;
mod consumer;
mod consumers;
mod control;
mod coop;
mod crash;
mod embedding;
mod failed;
mod failover;
mod logging;
mod mover;
mod own_schema;
mod own_triggers;
mod peers;
mod pgbouncer;
mod position;
mod process;
mod producer;
mod python;
mod quick_start;
mod readme;
mod rounds;
mod schema;
mod status;
mod ticker;
mod tls;
mod watch;
mod worker;
