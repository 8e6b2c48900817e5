//! The project's integration tests: real servers, real programs.

mod support;

mod bad_input;
mod cluster;
mod conninfo;
mod consumer;
mod control;
mod crash;
mod failover;
mod mover;
mod pgbouncer;
mod position;
mod producer;
mod python;
mod quick_start;
mod readme;
mod schema;
mod tls;
mod worker;
