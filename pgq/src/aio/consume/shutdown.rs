//! The request that a worker ends.

use tokio::sync::watch;

/// Shows the code that handles a batch that the worker is to end.
#[doc(hidden)]
#[derive(Clone)]
pub struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    pub(super) fn new() -> (watch::Sender<bool>, Shutdown) {
        let (sender, receiver) = watch::channel(false);
        (sender, Shutdown(receiver))
    }

    pub(super) fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for the request.
    pub(super) async fn requested(&self) {
        // A worker that is gone asks for nothing more; its futures are dropped.
        let _ = self.0.clone().wait_for(|requested| *requested).await;
    }
}
