//! Consumers and producers of asynchronous services.

#[cfg(feature = "tokio")]
pub(crate) mod consume;
#[cfg(feature = "diesel-async")]
pub mod diesel_async;
#[cfg(feature = "sqlx")]
pub mod sqlx;
#[cfg(feature = "tokio")]
pub mod tokio;

#[cfg(feature = "tokio")]
pub use self::consume::*;
