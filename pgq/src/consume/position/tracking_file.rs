//! A position in a local file.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, SecondsFormat};
use dbscript::{create_trusted_file, printable};

use crate::error::Error;
use crate::event::checkpoint::Checkpoint;

/// The greatest size of a tracking file, in bytes.
const LIMIT: u64 = 1024;
/// The length at which an error message cuts off an invalid text, in bytes.
const SHOWN: usize = 20;

/// The file that holds a consumer's tick: a plain number, as python-pgq writes and reads it.
///
/// The tick's time is in a second file beside it, by the tick's number. That file is replaced first, and contains the
/// tick before as well (DESIGN.md, D33). A number that is not in the second file was written by another program.
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
    /// When one of the files is not readable, or the first one holds anything but a number.
    pub(crate) fn read(&self) -> Result<Option<Checkpoint>, Error> {
        let text = self.text_of(&self.path)?;
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let tick: i64 = text.parse().map_err(|_| {
            Error::failed(format!("file `{}` holds no tick{}", self.path.display(), shown(text)))
        })?;
        // python-pgq writes a negative number when there is no tick.
        if tick < 0 {
            return Ok(None);
        }
        let times = self.text_of(&self.times())?;
        Ok(Some(Checkpoint {
            tick,
            time: times.lines().filter_map(parse).find(|at| at.tick == tick).and_then(|at| at.time),
        }))
    }

    /// Returns the ticks of the second file, if the first one has an older tick, which is not among them: it was
    /// restored without the second one, and its number may be that of another tick.
    ///
    /// # Errors
    ///
    /// As [`read`](TrackingFile::read).
    pub(crate) fn newer(&self) -> Result<Vec<Checkpoint>, Error> {
        let Some(Checkpoint { tick, time: None }) = self.read()? else { return Ok(Vec::new()) };
        let recorded: Vec<Checkpoint> = self.text_of(&self.times())?.lines().filter_map(parse).collect();
        let is_newer = recorded.iter().any(|recorded| recorded.tick > tick);
        Ok(if is_newer { recorded } else { Vec::new() })
    }

    /// Makes the error of a number that may be that of another tick.
    pub(crate) fn restored_alone(&self) -> Error {
        Error::failed(format!(
            "lost position: file `{}` has an older tick than `{}` beside it, so it was restored alone, and its number may be \
             that of another tick; restore both, or remove the second one to take the number as it is",
            self.path.display(),
            self.times().display()
        ))
    }

    /// Writes the tick; it is on the disk when this returns, and whatever happens, the file is the old or the new one.
    ///
    /// # Errors
    ///
    /// When the folder is not writable or the disk is full; the old tick is kept.
    pub(crate) fn write(&self, checkpoint: &Checkpoint) -> Result<(), Error> {
        let before = self.read()?.filter(|before| before.tick != checkpoint.tick);
        let lines: String = before.iter().chain([checkpoint]).filter_map(line).collect();
        self.replace(&self.times(), &lines)?;
        self.replace(&self.path, &checkpoint.tick.to_string())
    }

    /// Removes the files; returns whether there was a tick's.
    ///
    /// # Errors
    ///
    /// When the folder is not writable.
    #[cfg(feature = "script")]
    pub(crate) fn remove(&self) -> Result<bool, Error> {
        let was_there = self.remove_one(&self.path)?;
        self.remove_one(&self.times())?;
        Ok(was_there)
    }

    #[cfg(feature = "script")]
    fn remove_one(&self, path: &Path) -> Result<bool, Error> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            removed => removed
                .and_then(|()| self.sync_folder())
                .map(|()| true)
                .map_err(|error| failed("cannot remove", path, error)),
        }
    }

    /// Returns the name of the second file.
    fn times(&self) -> PathBuf {
        with_ending(&self.path, ".time").into()
    }

    /// Returns what a file holds; nothing when it is not there.
    fn text_of(&self, path: &Path) -> Result<String, Error> {
        match dbscript::read_trusted_text_file(path, LIMIT) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
            read => read.map_err(|error| failed("cannot read", path, error)),
        }
    }

    fn replace(&self, path: &Path, text: &str) -> Result<(), Error> {
        self.try_replace(path, text).map_err(|error| failed("cannot write", path, error))
    }

    fn try_replace(&self, path: &Path, text: &str) -> io::Result<()> {
        let new = with_ending(path, ".new");
        let mut file = create_trusted_file(Path::new(&new))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        self.sync_folder()
    }

    fn sync_folder(&self) -> io::Result<()> {
        File::open(self.folder())?.sync_all()
    }
}

fn with_ending(path: &Path, ending: &str) -> OsString {
    let mut name = path.to_owned().into_os_string();
    name.push(ending);
    name
}

/// Makes the line of a tick; `None` when its time is unknown.
fn line(checkpoint: &Checkpoint) -> Option<String> {
    let time = checkpoint.time?.to_rfc3339_opts(SecondsFormat::Micros, true);
    Some(format!("{} {time}\n", checkpoint.tick))
}

/// Returns the tick of a line.
fn parse(line: &str) -> Option<Checkpoint> {
    let (tick, time) = line.split_once(' ')?;
    let time = DateTime::parse_from_rfc3339(time).ok()?.to_utc();
    Some(Checkpoint { tick: tick.parse().ok()?, time: Some(time) })
}

fn failed(what: &str, path: &Path, error: io::Error) -> Error {
    Error::failed(format!("{what} file `{}`", path.display())).caused_by(error)
}

/// Shows a short text; a longer one may be that of another file, which a link leads to.
fn shown(text: &str) -> String {
    if text.len() <= SHOWN { format!(": `{}`", printable(text)) } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_keeps_its_time_in_both_orders_of_the_two_files() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = TrackingFile::new(folder.path().join("tick"));
        let at =
            |tick: i64| Checkpoint { tick, time: DateTime::from_timestamp_micros(1_000_000_123_456 + tick) };
        assert_eq!(file.read().expect("readable"), None);
        file.write(&at(5)).expect("writable");
        assert_eq!(file.read().expect("readable"), Some(at(5)));
        file.write(&at(6)).expect("writable");
        assert_eq!(file.read().expect("readable"), Some(at(6)));
        // A crash before the second one is replaced leaves the first one as it was.
        fs::write(folder.path().join("tick"), "5").expect("writable");
        assert_eq!(file.read().expect("readable"), Some(at(5)));
        // Somebody else's number.
        fs::write(folder.path().join("tick"), "7\n").expect("writable");
        assert_eq!(file.read().expect("readable"), Some(Checkpoint { tick: 7, time: None }));
        file.write(&at(8)).expect("writable");
        assert_eq!(fs::read_to_string(folder.path().join("tick")).expect("readable"), "8");
        assert_eq!(file.read().expect("readable"), Some(at(8)));
    }
}
