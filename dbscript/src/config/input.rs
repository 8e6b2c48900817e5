//! The bytes of a config file, which may come through a pipe.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::files;

/// The greatest size of a config file, in bytes.
pub(crate) const CONFIG_LIMIT: u64 = 1024 * 1024;
/// How long a pipe may have nobody who writes to it.
const WRITER_LIMIT: Duration = Duration::from_secs(2);
/// How long whoever writes to a pipe may take.
const PIPE_LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(5);

/// Reads a file, or what comes through a pipe, as from a shell's `<(command)` or `/dev/stdin`, until it is closed.
///
/// # Errors
///
/// When it cannot be read, is something else, is too large, or nothing comes through the pipe in time.
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
                // Before anything came, nobody has opened the other end yet.
                Ok(0) if self.bytes.is_empty() => self.wait(WRITER_LIMIT, "nobody writes to the pipe")?,
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
