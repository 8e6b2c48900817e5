//! Asynchronous producers.

#[cfg(feature = "tokio")]
pub mod tokio;
