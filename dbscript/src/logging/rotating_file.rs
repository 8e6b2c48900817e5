//! A log file that is moved to `x.log.1`, `x.log.2`, … when it is full.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes whole lines; each file stays within its size unless a single line is longer.
///
/// After it is opened it never fails: a line that cannot be written is lost, and the next one tries anew.
pub(super) struct RotatingFile {
    path: PathBuf,
    size: u64,
    count: u32,
    file: Option<File>,
    written: u64,
    line: Vec<u8>,
}

impl RotatingFile {
    pub(super) fn open(path: &Path, size: u64, count: u32) -> io::Result<RotatingFile> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let (file, written) = append(path)?;
        Ok(RotatingFile { path: path.to_owned(), size, count, file: Some(file), written, line: Vec::new() })
    }

    fn write_line(&mut self) -> io::Result<()> {
        let length = self.line.len() as u64;
        if self.size > 0 && self.written > 0 && self.written + length > self.size {
            self.file = None;
            self.rotate()?;
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let (file, written) = append(&self.path)?;
                self.written = written;
                self.file.insert(file)
            }
        };
        file.write_all(&self.line)?;
        self.written += length;
        Ok(())
    }

    /// Moves every file one number up; the oldest is overwritten.
    fn rotate(&mut self) -> io::Result<()> {
        self.written = 0;
        if self.count == 0 {
            return fs::remove_file(&self.path);
        }
        for number in (1..self.count).rev() {
            let old = self.numbered(number);
            if old.exists() {
                fs::rename(old, self.numbered(number + 1))?;
            }
        }
        fs::rename(&self.path, self.numbered(1))
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    }
}

fn append(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let written = file.metadata()?.len();
    Ok((file, written))
}

impl Write for RotatingFile {
    /// Collects the pieces of a line, so that it is written and counted as one.
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.write_line().is_err() {
            self.file = None;
        }
        self.line.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(file: &mut RotatingFile, line: &str) {
        write!(file, "{line}")
            .and_then(|()| writeln!(file))
            .and_then(|()| file.flush())
            .expect("never fails");
    }

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_default()
    }

    #[test]
    fn full_files_move_up_and_the_oldest_goes() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("new/x.log");
        let mut file = RotatingFile::open(&path, 12, 2).expect("writable");
        for line in
            ["one", "two", "three", "four", "five", "six", "seven", "a line longer than a file", "nine"]
        {
            write(&mut file, line);
        }
        assert_eq!(read(&path), "nine\n");
        assert_eq!(read(&file.numbered(1)), "a line longer than a file\n");
        assert_eq!(read(&file.numbered(2)), "seven\n");
        assert!(!file.numbered(3).exists());
    }

    #[test]
    fn an_existing_file_is_continued() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("x.log");
        fs::write(&path, "old\n").expect("writable");
        let mut file = RotatingFile::open(&path, 8, 1).expect("writable");
        write(&mut file, "new");
        assert_eq!(read(&path), "old\nnew\n");
        write(&mut file, "more");
        assert_eq!(read(&path), "more\n");
    }

    #[test]
    fn a_folder_that_vanishes_is_survived() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("logs/x.log");
        let mut file = RotatingFile::open(&path, 4, 1).expect("writable");
        write(&mut file, "one");
        fs::remove_dir_all(folder.path().join("logs")).expect("removable");
        write(&mut file, "lost");
        fs::create_dir(folder.path().join("logs")).expect("creatable");
        write(&mut file, "two");
        assert_eq!(read(&path), "two\n");
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_an_error_at_once() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert!(RotatingFile::open(folder.path(), 10, 1).is_err());
    }
}
