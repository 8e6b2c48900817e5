//! Events, the batches and ticks that they are delivered in, and the values that they carry.

pub(crate) mod batch_info;
pub(crate) mod checkpoint;
pub(crate) mod failed_event;
pub(crate) mod new_event;
pub(crate) mod owned_event;
pub mod payload;
pub(crate) mod stored_event;
