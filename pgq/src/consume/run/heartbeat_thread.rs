//! The heartbeats of a blocking subconsumer, on a thread and a connection of their own.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;

use dbscript::{BoxError, Context, Control, Databases, ready};

use crate::consume::heartbeat::Heartbeat;
use crate::schema;

/// Sends heartbeats until it is dropped. The thread may end later, if the server does not respond.
pub(crate) struct HeartbeatThread {
    control: Control,
    _running: Sender<()>,
}

impl HeartbeatThread {
    /// Starts the heartbeats of a batch; `db` is the name of the queue's database.
    ///
    /// The first heartbeat opens the connection, so a batch that is quick has none.
    pub(crate) fn start(heartbeat: &Heartbeat, cx: &mut Context, db: &str) -> Option<HeartbeatThread> {
        if !heartbeat.is_on() {
            return None;
        }
        let control = Control::default();
        let mut databases = cx.databases().separate(control.clone());
        schema::check_databases(&mut databases, db);
        let (running, ended) = channel();
        let (own, db) = (heartbeat.clone(), db.to_owned());
        let started = thread::Builder::new()
            .name("heartbeat".to_owned())
            .spawn(move || beat(&own, &mut databases, &db, &ended));
        match started {
            Ok(_) => Some(HeartbeatThread { control, _running: running }),
            Err(error) => {
                heartbeat.report(&error.into());
                None
            }
        }
    }
}

impl Drop for HeartbeatThread {
    fn drop(&mut self) {
        self.control.stop();
    }
}

fn beat(heartbeat: &Heartbeat, databases: &mut Databases, db: &str, ended: &Receiver<()>) {
    while ended.recv_timeout(heartbeat.interval()) == Err(RecvTimeoutError::Timeout) {
        match send(heartbeat, databases, db) {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                databases.close(db);
                if ended.try_recv() != Err(std::sync::mpsc::TryRecvError::Disconnected) {
                    heartbeat.report(&error);
                }
            }
        }
    }
}

fn send(heartbeat: &Heartbeat, databases: &mut Databases, db: &str) -> Result<bool, BoxError> {
    let mut connection = databases.get(db)?;
    ready(heartbeat.send(&mut *connection))
}
