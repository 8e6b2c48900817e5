//! Writes the data of every event to a file, and keeps its position in a second file (`local_tracking_file`).

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use dbscript::{Error, Key};
use nix::fcntl::OFlag;
use pgq::script::Program;
use pgq::{BoxError, Events, LocalHandler};

const FILE: Key = Key::required("name_file", "File to append to, a line for each event. No default.");

struct NameFile {
    path: PathBuf,
}

impl LocalHandler for NameFile {
    fn process_local_batch(&mut self, events: &mut Events<'_>) -> Result<(), BoxError> {
        // Without this flag, opening a pipe would wait for a reader.
        let no_wait = OFlag::O_NONBLOCK.bits();
        let file = OpenOptions::new().create(true).append(true).custom_flags(no_wait).open(&self.path);
        let mut file = BufWriter::new(file.map_err(|error| {
            Error::failed(format!("cannot write to `{}`", self.path.display())).caused_by(error)
        })?);
        while let Some(event) = events.next_event()? {
            writeln!(file, "{} {}", event.id(), event.data().unwrap_or_default())?;
        }
        // The lines reach the disk before the position. After a crash in between, they are written again.
        file.into_inner()?.sync_all()?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(())
    }
}

fn main() -> ExitCode {
    Program::new("name_file", "db")
        .configure(|program| {
            program
                .about("Writes the data of every event to a file, and keeps its position in a second file.")
                .version(env!("CARGO_PKG_VERSION"))
                .keys(&[FILE])
        })
        .main_local(|config| Ok(NameFile { path: config.file(&FILE)?.ok_or("name_file is empty")? }))
}
