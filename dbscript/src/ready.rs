//! Code that the blocking and the asynchronous face share.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// Runs shared code for the blocking face. The code is asynchronous; over a blocking connection each of its steps is
/// complete when it returns, so that the future never waits.
///
/// # Panics
///
/// When the future waits, which only a future that runs over something else than a blocking connection does.
#[doc(hidden)]
pub fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a step over a blocking connection waits"),
    }
}
