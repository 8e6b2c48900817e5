//! The spans of a batch and of its events. Without the feature `tracing`, they are empty types.

#[cfg_attr(feature = "tracing", path = "spans/tracing.rs")]
#[cfg_attr(not(feature = "tracing"), path = "spans/none.rs")]
mod kind;
#[cfg(feature = "opentelemetry")]
mod opentelemetry;

pub(crate) use self::kind::{BatchSpan, EventSpan};
