//! One page for each topic of consumers and producers.

#[doc = include_str!("guide/producers.md")]
pub mod producers {}

#[doc = include_str!("guide/later_and_once.md")]
pub mod later_and_once {}

#[doc = include_str!("guide/recurring.md")]
pub mod recurring {}

#[doc = include_str!("guide/exactly_once.md")]
pub mod exactly_once {}

#[doc = include_str!("guide/retries.md")]
pub mod retries {}

#[cfg(feature = "tokio")]
#[doc = include_str!("guide/services.md")]
pub mod services {}

#[cfg(feature = "tokio")]
#[doc = include_str!("guide/first_service.md")]
pub mod first_service {}

#[cfg(feature = "tokio")]
#[doc = include_str!("guide/transactional_or_concurrent.md")]
pub mod transactional_or_concurrent {}

#[cfg(feature = "tokio")]
#[doc = include_str!("guide/order.md")]
pub mod order {}

#[cfg(feature = "tokio")]
#[doc = include_str!("guide/idempotence.md")]
pub mod idempotence {}

#[doc = include_str!("guide/scaling_out.md")]
pub mod scaling_out {}

#[doc = include_str!("guide/catching_up.md")]
pub mod catching_up {}

#[doc = include_str!("guide/replay.md")]
pub mod replay {}

#[doc = include_str!("guide/shutdown.md")]
pub mod shutdown {}

#[doc = include_str!("guide/managed_postgresql.md")]
pub mod managed_postgresql {}

#[doc = include_str!("guide/monitoring.md")]
pub mod monitoring {}

#[cfg(feature = "opentelemetry")]
#[doc = include_str!("guide/tracing.md")]
pub mod tracing {}

#[doc = include_str!("guide/testing.md")]
#[cfg_attr(feature = "tokio", doc = include_str!("guide/testing/asynchronous.md"))]
pub mod testing {}
