//! The examples of the crate's README, which `cargo test --doc` compiles.

#![doc = include_str!("../README.md")]
