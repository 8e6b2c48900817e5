//! Administration of queues and consumers: creating, configuring, dropping, positions, failed events, delayed events,
//! schedules, repair.

pub(crate) mod create_queue;
pub(crate) mod delayed_events;
pub(crate) mod drop_queue;
pub(crate) mod failed_events;
pub(crate) mod failed_events_bulk;
pub mod integrity;
pub(crate) mod name_locks;
pub(crate) mod open_batch;
pub(crate) mod position;
pub(crate) mod queue_config;
pub(crate) mod queue_lookup;
pub(crate) mod registration;
pub(crate) mod retained_events;
pub(crate) mod scheduled_events;
pub(crate) mod set_queue_config;
pub(crate) mod ticks;
pub(crate) mod unregistration;

pub use self::create_queue::create_queue;
pub use self::delayed_events::{DelayedEvent, cancel_delayed_event, count_delayed_events, delayed_events};
pub use self::drop_queue::{DropMode, drop_queue};
#[doc(hidden)]
pub use self::drop_queue::{QueueContents, drop_queue_confirmed, queue_contents};
pub use self::failed_events::{
    count_failed_events, delete_failed_event, failed_event_page, failed_events, retry_failed_event,
};
pub use self::failed_events_bulk::{
    delete_failed_events, each_failed_event, purge_failed_events, retry_all_failed_events,
    retry_failed_events,
};
#[doc(hidden)]
pub use self::failed_events_bulk::{require_failed_events, require_interval};
#[doc(hidden)]
pub use self::open_batch::{OpenedBatch, open_batch};
#[doc(hidden)]
pub use self::position::require_consumer;
pub use self::position::{Position, consumer_position};
pub use self::queue_config::{QueueConfig, queue_config, queue_configs};
#[doc(hidden)]
pub use self::queue_lookup::require_queue;
#[doc(hidden)]
pub use self::registration::position_to_copy;
pub use self::registration::{
    register_consumer, register_consumer_at, register_consumer_at_checkpoint, register_consumer_at_time,
    register_consumer_copy, register_subconsumer,
};
pub use self::retained_events::{RetainedEvents, retained_events};
pub use self::scheduled_events::{ScheduledEvent, scheduled_events, unschedule_event};
pub use self::set_queue_config::set_queue_config;
pub use self::ticks::tick_at;
#[doc(hidden)]
pub use self::ticks::{read_time, require_tick, tick_time};
#[doc(hidden)]
pub use self::unregistration::unregister_idle_subconsumer;
pub use self::unregistration::{unregister_consumer, unregister_subconsumer};
pub use crate::event::failed_event::FailedEvent;
