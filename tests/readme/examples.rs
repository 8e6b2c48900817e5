//! The examples of README.md and of the book, which `cargo test --doc` compiles.

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}

#[cfg(doctest)]
#[doc = include_str!("../../docs/src/tutorial/blocking.md")]
mod tutorial_blocking {}

#[cfg(all(doctest, feature = "drivers"))]
#[doc = include_str!("../../docs/src/tutorial/asynchronous.md")]
mod tutorial_asynchronous {}

#[cfg(doctest)]
#[doc = include_str!("../../docs/src/how-to/producers.md")]
mod how_to_producers {}

#[cfg(doctest)]
#[doc = include_str!("../../docs/src/how-to/payload.md")]
mod how_to_payload {}
