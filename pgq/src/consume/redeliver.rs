//! Errors of handlers that are not an event's fault.

use std::error::Error as StdError;
use std::fmt;
use std::iter::successors;

use dbscript::{BoxError, is_final, is_interrupted};

use crate::error::Error;

/// An error of a handler that fails the whole batch, which is then delivered again, whatever the
/// [`RetryPolicy`](crate::RetryPolicy). Return it for a failure that any other event would have too, such as an unreachable
/// service.
///
/// ```
/// use pgq::consume::Redeliver;
///
/// fn charge() -> Result<(), std::io::Error> {
///     Ok(())
/// }
///
/// fn handle() -> Result<(), pgq::BoxError> {
///     Ok(charge().map_err(Redeliver::new)?)
/// }
/// # handle().unwrap()
/// ```
#[derive(Debug)]
pub struct Redeliver(BoxError);

impl Redeliver {
    /// Makes the error out of its cause.
    pub fn new(cause: impl Into<BoxError>) -> Redeliver {
        Redeliver(cause.into())
    }
}

impl fmt::Display for Redeliver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the batch has to be delivered again")
    }
}

impl StdError for Redeliver {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}

/// Returns whether an error would come with any other event, too.
pub(crate) fn is_no_events_fault(error: &(dyn StdError + 'static)) -> bool {
    let mut chain = successors(Some(error), |error: &&(dyn StdError + 'static)| (*error).source());
    is_interrupted(error)
        || is_final(error)
        || Error::is_misconfigured(error)
        || chain.any(|error| error.is::<Redeliver>())
}

#[cfg(test)]
mod tests {
    use dbscript::describe;

    use super::*;

    #[test]
    fn the_error_is_recognized_behind_others_and_shows_its_cause() {
        let error = Error::failed("cannot charge").caused_by(Redeliver::new("refused"));
        assert!(is_no_events_fault(&error));
        assert!(!is_no_events_fault(&Error::failed("cannot charge").caused_by("refused")));
        assert_eq!(describe(&error), "cannot charge: the batch has to be delivered again: refused");
    }
}
