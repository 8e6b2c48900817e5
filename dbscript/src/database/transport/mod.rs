//! The streams that the driver gets: plain, local or encrypted, with limits of time and size.

mod abort;
mod connector;
mod local_socket;
mod rollback;
mod startup;
mod stream;

pub(crate) use self::abort::AbortHandle;
pub(crate) use self::connector::{Connector, Progress, Protection};
pub(crate) use self::local_socket::LocalSocket;
#[cfg(feature = "asynchronous")]
pub(crate) use self::stream::Stream;
