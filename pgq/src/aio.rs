//! Asynchronous producers.

#[cfg(feature = "diesel-async")]
pub mod diesel_async;
#[cfg(feature = "sqlx")]
pub mod sqlx;
#[cfg(feature = "tokio")]
pub mod tokio;
