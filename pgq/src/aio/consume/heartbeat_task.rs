//! The heartbeats of an asynchronous subconsumer, in a task and on a connection of their own.

use dbscript::{AsyncConnection, BoxError};
use tokio::task::{AbortHandle, spawn};
use tokio::time::sleep;

use super::connections::open;
use crate::consume::heartbeat::Heartbeat;

/// Sends heartbeats until it is dropped.
pub(super) struct HeartbeatTask {
    heartbeat: Heartbeat,
    task: AbortHandle,
}

impl HeartbeatTask {
    /// Starts the heartbeats of a batch. The first one opens the connection, so a batch that is quick has none.
    pub(super) fn start(heartbeat: &Heartbeat, conninfo: &str) -> Option<HeartbeatTask> {
        let (own, conninfo) = (heartbeat.clone(), conninfo.to_owned());
        let started = || spawn(async move { beat(&own, &conninfo).await }).abort_handle();
        heartbeat.is_on().then(|| HeartbeatTask { heartbeat: heartbeat.clone(), task: started() })
    }

    /// Returns the heartbeats, of this batch and later ones.
    pub(super) fn heartbeat(&self) -> &Heartbeat {
        &self.heartbeat
    }
}

impl Drop for HeartbeatTask {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn beat(heartbeat: &Heartbeat, conninfo: &str) {
    let mut connection = None;
    loop {
        sleep(heartbeat.interval()).await;
        match send(heartbeat, conninfo, &mut connection).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                connection = None;
                heartbeat.report(&error);
            }
        }
    }
}

async fn send(
    heartbeat: &Heartbeat,
    conninfo: &str,
    connection: &mut Option<AsyncConnection>,
) -> Result<bool, BoxError> {
    let usable = connection.take().filter(|open| !open.is_closed());
    let usable = match usable {
        Some(usable) => usable,
        None => open(conninfo, heartbeat.application_name()).await?,
    };
    heartbeat.send(connection.insert(usable)).await
}
