//! The loop of a consumer, and the threads that it runs in.

pub(crate) mod consumer_loop;
pub(crate) mod delivery;
pub(crate) mod guard;
pub(crate) mod health;
pub(crate) mod heartbeat_thread;
pub(crate) mod subscription;
pub(crate) mod tick_watch;
pub(crate) mod worker;
