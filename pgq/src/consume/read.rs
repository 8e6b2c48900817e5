//! Reading the events of a batch: as pages of a portal, behind the last id, or as one stream.

pub(crate) mod culprit;
pub(crate) mod events;
pub(crate) mod limits;
pub(crate) mod opening;
pub(crate) mod pages;
pub(crate) mod source;
