//! The project's integration tests: real servers, real programs.

mod support;

mod bad_input;
mod cluster;
mod config;
mod consumer;
mod control;
mod crash;
mod mover;
mod position;
mod producer;
mod python;
mod quick_start;
mod readme;
mod schema;
mod worker;
