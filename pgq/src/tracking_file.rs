//! A position in a local file.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::Error;

/// The file that holds a consumer's tick: a plain number, as python-pgq writes it.
#[derive(Clone, Debug)]
pub(crate) struct TrackingFile {
    path: PathBuf,
}

impl TrackingFile {
    pub(crate) fn new(path: PathBuf) -> TrackingFile {
        TrackingFile { path }
    }

    /// Returns the folder that the file is in.
    pub(crate) fn folder(&self) -> &Path {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        folder.unwrap_or(Path::new("."))
    }

    /// Returns the tick; `None` when there is no file, or nothing in it.
    ///
    /// # Errors
    ///
    /// When the file is not readable or holds anything but a number.
    pub(crate) fn read(&self) -> Result<Option<i64>, Error> {
        let text = match fs::read_to_string(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| self.failed("cannot read", error))?,
        };
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let tick: i64 = text
            .parse()
            .map_err(|_| Error::failed(format!("file `{}` holds no tick: `{text}`", self.path.display())))?;
        // So python-pgq says that there is none.
        Ok(Some(tick).filter(|tick| *tick >= 0))
    }

    /// Writes the tick; it is on the disk when this returns, and whatever happens, the file is the old or the new one.
    ///
    /// # Errors
    ///
    /// When the folder is not writable or the disk is full; the old tick is kept.
    pub(crate) fn write(&self, tick: i64) -> Result<(), Error> {
        self.replace(&tick.to_string()).map_err(|error| self.failed("cannot write", error))
    }

    /// Removes the file; returns whether there was one.
    ///
    /// # Errors
    ///
    /// When the folder is not writable.
    #[cfg(feature = "script")]
    pub(crate) fn remove(&self) -> Result<bool, Error> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            removed => removed
                .and_then(|()| self.sync_folder())
                .map(|()| true)
                .map_err(|error| self.failed("cannot remove", error)),
        }
    }

    fn replace(&self, text: &str) -> io::Result<()> {
        let mut new = self.path.clone().into_os_string();
        new.push(".new");
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        self.sync_folder()
    }

    fn sync_folder(&self) -> io::Result<()> {
        File::open(self.folder())?.sync_all()
    }

    fn failed(&self, what: &str, error: io::Error) -> Error {
        Error::failed(format!("{what} file `{}`", self.path.display())).caused_by(error)
    }
}
