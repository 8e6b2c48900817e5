//! Reading the events of a batch: as pages of a portal, as pages without a transaction, or as one stream.

pub(crate) mod culprit;
pub(crate) mod events;
pub(crate) mod limits;
pub(crate) mod opening;
pub(crate) mod pages;
pub(crate) mod rest;
pub(crate) mod source;
