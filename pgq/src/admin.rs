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

pub use self::drop_queue::{DropMode, drop_queue};
#[doc(hidden)]
pub use self::drop_queue::{QueueContents, drop_queue_of, queue_contents};
pub use self::failed::{count_failed_events, delete_failed_event, failed_events, retry_failed_event};
pub use self::failed_many::{
    delete_failed_events, each_failed_event, purge_failed_events, retry_all_failed_events,
    retry_failed_events,
};
#[doc(hidden)]
pub use self::failed_many::{require_failed_events, require_interval};
#[doc(hidden)]
pub use self::find_queue::require_queue;
#[doc(hidden)]
pub use self::position::require_consumer;
pub use self::position::{Position, consumer_position};
pub use self::queue::create_queue;
pub use self::queue_config::{QueueConfig, queue_config, queue_configs};
pub use self::queue_variable::set_queue_config;
#[doc(hidden)]
pub use self::registration::{position_to_copy, register_consumer_at_checkpoint};
pub use self::registration::{
    register_consumer, register_consumer_at, register_consumer_copy, register_subconsumer,
};
pub use self::set_aside::{SetAside, set_aside};
#[doc(hidden)]
pub use self::ticks::{require_tick, tick_time};
pub use self::unregistration::{unregister_consumer, unregister_subconsumer};
pub use crate::event::failed_event::FailedEvent;
