//! The examples of README.md, which `cargo test --doc` compiles.

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}
