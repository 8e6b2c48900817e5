//! Consumers of asynchronous services: futures on a runtime of `tokio`.

mod administer;
pub(crate) mod batch;
mod batches;
mod concurrent;
mod connections;
mod consumer;
pub(crate) mod delivery;
mod extract;
mod guard;
mod handlers;
mod heartbeat_task;
mod origin;
mod reader;
mod shutdown;
pub(super) mod transaction;
pub(crate) mod worker;

pub use self::administer::administer;
pub use self::batch::Batch;
pub use self::batches::Batches;
pub use self::consumer::Consumer;
pub use self::delivery::Delivery;
pub use self::extract::{FromEvent, Handler, Json, Row, Urlencoded};
pub use self::handlers::Handlers;
pub use self::origin::Origin;
#[cfg(feature = "sqlx")]
pub(in crate::aio) use self::shutdown::Shutdown;
pub use self::transaction::Transaction;
pub use self::worker::Worker;
