//! Rotation by time: `x.log.2007-10-19`.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::interval::Interval;
use crate::logging::files::rotation::LogRotation;
use crate::logging::layout::date_format::strftime;

/// Rotates a file at the end of each interval, as Python's `TimedRotatingFileHandler` does.
pub(crate) struct TimedRotation {
    interval: Interval,
    /// The number of old files to keep; 0 keeps all.
    count: usize,
    zone: TimeZone,
    next: Timestamp,
}

impl LogRotation for TimedRotation {
    /// Sets the interval to the one of the file's last write.
    fn opened(&mut self, file: &Metadata) {
        let modified = file.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
        self.next = self.interval.end(modified.unwrap_or_else(Timestamp::now), &self.zone);
    }

    fn is_due(&self, _length: u64, _more: u64, now: Timestamp) -> bool {
        now >= self.next
    }

    /// Renames the file after the beginning of its interval. If an old file has that name already, for example because
    /// the clock was set back, the file is kept for another interval.
    fn rotate(&mut self, path: &Path, now: Timestamp) -> io::Result<()> {
        let dated = self.dated(path, now);
        if dated.symlink_metadata().is_ok() {
            self.next = self.interval.end(now, &self.zone);
            return Ok(());
        }
        fs::rename(path, dated)?;
        if self.count == 0 {
            return Ok(());
        }
        let old = self.old(path)?;
        let surplus = old.len().saturating_sub(self.count);
        old[..surplus].iter().try_for_each(fs::remove_file)
    }
}

impl TimedRotation {
    pub(crate) fn new(interval: Interval, count: usize, zone: TimeZone) -> TimedRotation {
        let next = interval.end(Timestamp::now(), &zone);
        TimedRotation { interval, count, zone, next }
    }

    /// Returns the name of the old file, with the UTC offset of the present time, as in Python.
    fn dated(&self, path: &Path, now: Timestamp) -> PathBuf {
        let mut name = path.to_owned().into_os_string();
        name.push(format!(".{}", self.suffix(now)));
        PathBuf::from(name)
    }

    fn suffix(&self, now: Timestamp) -> String {
        let begin = self.next.saturating_sub(self.interval.seconds().seconds()).unwrap_or(self.next);
        let clock = self.zone.to_offset(now).to_time_zone();
        strftime(self.interval.suffix(), begin, clock)
    }

    /// Returns the old files, the oldest first.
    fn old(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let prefix = format!("{}.", path.file_name().unwrap_or_default().to_string_lossy());
        let mut old = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.strip_prefix(&prefix).is_some_and(|suffix| self.interval.is_suffix(suffix)) {
                old.push(entry.path());
            }
        }
        old.sort();
        Ok(old)
    }
}

#[cfg(test)]
#[path = "timed_rotation_tests.rs"]
mod tests;
