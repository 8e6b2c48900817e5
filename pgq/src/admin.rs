//! What administers queues and consumers: creating, dropping, configuration, positions, failed events, repair.

pub(crate) mod drop_queue;
pub(crate) mod exclusive;
pub(crate) mod failed;
pub(crate) mod failed_many;
pub(crate) mod find_queue;
pub mod integrity;
pub(crate) mod position;
pub(crate) mod queue;
pub(crate) mod queue_config;
pub(crate) mod queue_variable;
pub(crate) mod registration;
pub(crate) mod set_aside;
pub(crate) mod ticks;
pub(crate) mod unregistration;
