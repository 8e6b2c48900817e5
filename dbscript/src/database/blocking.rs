//! Whether blocking calls of the driver are possible on a thread.

use std::panic::catch_unwind;

use tokio::runtime::Handle;

use crate::error::Error;

/// Fails on a thread that runs asynchronous code, where a blocking call of the driver would panic.
///
/// Threads of `tokio::task::spawn_blocking` may block.
///
/// # Errors
///
/// As described; of kind [`Usage`](crate::ErrorKind::Usage).
pub fn require_blocking_thread() -> Result<(), Error> {
    let Ok(runtime) = Handle::try_current() else { return Ok(()) };
    // The runtime does not answer the question; it panics where the driver would.
    catch_unwind(move || runtime.block_on(std::future::ready(()))).map_err(|_| {
        Error::usage(
            "a blocking call on a thread that runs asynchronous code; move the call to \
             `tokio::task::spawn_blocking` or to a thread of its own",
        )
    })
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn asynchronous_code_may_not_block_and_its_blocking_threads_may() {
        require_blocking_thread().expect("no runtime");
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        let error = runtime.block_on(async { require_blocking_thread() }).expect_err("asynchronous code");
        assert!(error.to_string().contains("spawn_blocking"), "{error}");
        let blocking = runtime.spawn_blocking(require_blocking_thread);
        runtime.block_on(blocking).expect("no panic").expect("a thread that may block");
        let _entered = runtime.enter();
        require_blocking_thread().expect("the runtime is only named");
    }
}
