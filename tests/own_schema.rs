//! The own schema beside the extension: the same catalogue, the same answers, and no event lost or repeated.

mod batches;
mod calls;
mod catalogue;
mod concurrency;
mod differences;
mod generated;
mod install;
mod isolation;
mod load;
pub(crate) mod old_snapshot;
mod peer;
mod rights;
mod trigger_rights;
mod uninstall;
mod visibility;
