//! The connection of a command, with a log of the locks that the command waits for.

use std::ops::{Deref, DerefMut};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use dbscript::{BoxError, Connection, Context, Control, Databases, LogThrottle};
use log::{debug, warn};
use pgq::lock;
use pgq::postgres::Client;

use crate::DB;

/// The interval of reading the lock that the command waits for.
const POLL: Duration = Duration::from_secs(3);

/// A connection that logs waiting for a lock of another session: after three seconds, and then once a minute.
/// Dereferences to [`Client`].
pub(crate) struct Database {
    connection: Connection,
    /// Dropping it ends the thread.
    _ended: Sender<()>,
}

/// Opens the connection to the command's database.
pub(crate) fn open(cx: &mut Context) -> Result<Database, BoxError> {
    let mut connection = cx.database(DB)?;
    let row = connection.query_typed_one("select pg_catalog.pg_backend_pid()", &[])?;
    let pid = row.get(0);
    let databases = cx.databases().separate(Control::default());
    let label = cx.databases().label(DB);
    let (sender, ended) = mpsc::channel();
    let watch = move || watch(databases, pid, &label, &ended);
    thread::Builder::new().name("locks".to_owned()).spawn(watch)?;
    Ok(Database { connection, _ended: sender })
}

/// Logs the locks that a session waits for. Uses another connection, which is opened after three seconds.
fn watch(mut databases: Databases, pid: i32, label: &str, ended: &Receiver<()>) {
    let throttle = LogThrottle::default();
    while matches!(ended.recv_timeout(POLL), Err(RecvTimeoutError::Timeout)) {
        match awaited(&mut databases, pid) {
            Ok(Some(lock)) if throttle.admit_key("waiting").is_some() => warn!("{label}: waiting: {lock}"),
            Ok(_) => {}
            Err(error) => debug!("{}", dbscript::describe(&*error)),
        }
    }
}

fn awaited(databases: &mut Databases, pid: i32) -> Result<Option<String>, BoxError> {
    Ok(lock::awaited(&mut *databases.get(DB)?, pid)?)
}

impl Deref for Database {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.connection
    }
}

impl DerefMut for Database {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.connection
    }
}
