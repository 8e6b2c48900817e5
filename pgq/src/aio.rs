//! The asynchronous face.

#[cfg(feature = "tokio")]
pub mod tokio;
