//! Failures of encryption.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use super::BoxError;

/// The reason why a connection to a reachable server is not encrypted as required.
#[derive(Debug)]
pub(crate) struct TlsFailure(BoxError);

impl TlsFailure {
    pub(crate) fn new(why: BoxError) -> TlsFailure {
        TlsFailure(why)
    }

    /// Returns true if an error of the driver is a failed handshake.
    pub(crate) fn is_handshake(error: &(dyn StdError + 'static)) -> bool {
        error.is::<TlsFailure>() || error.source().is_some_and(<dyn StdError>::is::<TlsFailure>)
    }

    /// Returns true if a failure of encryption caused an error of the driver, in the handshake or, as an I/O error,
    /// after it.
    pub(crate) fn is_behind(error: &(dyn StdError + 'static)) -> bool {
        let packed = |error: &(dyn StdError + 'static)| {
            let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            inner.is_some_and(|inner| inner.is::<TlsFailure>())
        };
        TlsFailure::is_handshake(error) || error.source().is_some_and(packed)
    }
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for TlsFailure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}
