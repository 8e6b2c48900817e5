//! Reading of a config file, which may be a pipe.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::files;

/// The largest config file, in bytes.
pub(crate) const CONFIG_LIMIT: u64 = 1024 * 1024;
/// The time in which a process must begin to write to a pipe.
const WRITER_LIMIT: Duration = Duration::from_secs(2);
/// The time in which the writer must close a pipe.
const PIPE_LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(5);

/// Reads a regular file, or a pipe such as a shell's `<(command)` or `/dev/stdin` until its writer closes it.
///
/// # Errors
///
/// Fails if the file cannot be read, is of another kind or too large, or if the pipe is not written and closed in time.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let (file, metadata) = files::open(path)?;
    if metadata.file_type().is_fifo() {
        return Pipe { file, begin: Instant::now(), bytes: Vec::new() }.read();
    }
    read_regular(path, &file, &metadata)
}

fn read_regular(path: &Path, file: &File, metadata: &Metadata) -> io::Result<Vec<u8>> {
    files::check_regular(path, metadata)?;
    files::read(file, metadata, CONFIG_LIMIT)
}

struct Pipe {
    file: File,
    begin: Instant,
    bytes: Vec<u8>,
}

impl Pipe {
    fn read(mut self) -> io::Result<Vec<u8>> {
        let mut buffer = [0; 4096];
        loop {
            match self.file.read(&mut buffer) {
                // An end without any data means that no process has opened the other end yet.
                Ok(0) if self.bytes.is_empty() => self.wait(WRITER_LIMIT, "no process writes to the pipe")?,
                Ok(0) => return Ok(self.bytes),
                Ok(length) => self.bytes.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.wait(PIPE_LIMIT, "the pipe is not closed in time")?;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if self.bytes.len() as u64 > CONFIG_LIMIT {
                return Err(files::too_large(CONFIG_LIMIT));
            }
        }
    }

    fn wait(&self, limit: Duration, why: &str) -> io::Result<()> {
        if self.begin.elapsed() > limit {
            return Err(io::Error::new(ErrorKind::TimedOut, why));
        }
        thread::sleep(PAUSE);
        Ok(())
    }
}
