//! A position in a local file.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use dbscript::{create_own_file, plain};

use crate::Error;

/// What is longer is no number, in bytes.
const LIMIT: u64 = 1024;
/// How long a text is shown that is no number, in bytes.
const SHOWN: usize = 20;

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
        let text = match dbscript::read_text_file(&self.path, LIMIT) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| self.failed("cannot read", error))?,
        };
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let tick: i64 = text.parse().map_err(|_| {
            Error::failed(format!("file `{}` holds no tick{}", self.path.display(), shown(text)))
        })?;
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
        let mut file = create_own_file(Path::new(&new))?;
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

/// Shows a short text; a longer one may be that of another file, which a link leads to.
fn shown(text: &str) -> String {
    if text.len() <= SHOWN { format!(": `{}`", plain(text)) } else { String::new() }
}
