//! The files of a new server, made once and copied for each further one.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::Server;
use super::watchdog::Place;

/// Returns a folder of data as `initdb` of these binaries leaves it.
///
/// # Errors
///
/// Shows the output of `initdb` when that fails.
pub(super) fn data_dir(bindir: &Path) -> Result<PathBuf, String> {
    /// Their watchdogs remove them together with this process.
    static MADE: Mutex<Vec<Server>> = Mutex::new(Vec::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(template) = made.iter().find(|template| template.bindir == bindir) {
        return Ok(template.data_dir());
    }
    let template = Server::without_data(bindir.to_owned(), 0, Place::Memory)?;
    template.order("init")?;
    let data = template.data_dir();
    made.push(template);
    Ok(data)
}
