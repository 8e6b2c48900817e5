//! Consumers: what a user implements, and the batch that it is given.

pub(crate) mod batch;
pub(crate) mod consumer;
pub(crate) mod delivered;
pub(crate) mod failures;
pub(crate) mod finish;
pub(crate) mod heartbeat;
pub(crate) mod holder;
pub(crate) mod hooks;
pub(crate) mod outcome;
pub(crate) mod position;
pub(crate) mod read;
pub(crate) mod redeliver;
pub(crate) mod retry_policy;
pub(crate) mod router;
pub(crate) mod run;
pub(crate) mod savepoints;
pub(crate) mod settings;
pub(crate) mod spans;
pub(crate) mod statements;
pub(crate) mod tags;

pub use self::redeliver::Redeliver;
pub use self::retry_policy::{DEFAULT_RETRY_CAP, DEFAULT_RETRY_DELAY};
pub use self::router::{Unknown, UnknownEvents};
pub use self::run::delivery::ConsumerKind;
pub use self::run::health::{Health, HealthProbe};
pub use self::settings::{DEFAULT_KEEPALIVE_STATS, DEFAULT_MERGE_EVENTS, Twin};
#[doc(hidden)]
pub use crate::event::checkpoint::Place;
