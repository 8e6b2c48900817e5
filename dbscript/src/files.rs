//! Files that others name or may have put there: no opening waits, and no reading goes on for ever.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::Uid;

/// The device that is as good as an empty file.
const NULL: &str = "/dev/null";
/// Opening waits neither for the other end of a pipe nor for a modem, and takes no terminal.
const NO_WAIT: OFlag = OFlag::O_NONBLOCK.union(OFlag::O_NOCTTY);

/// As many links as the kernel follows.
const MOST_LINKS: usize = 40;

const WORLD_WRITABLE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Reads a regular file, or `/dev/null`, of at most `limit` bytes.
///
/// # Errors
///
/// When it cannot be read, is something else, such as a pipe or a device, or is larger. No such file makes it wait.
pub fn read_file(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let (file, metadata) = open(path)?;
    check_regular(path, &metadata)?;
    read(&file, &metadata, limit)
}

/// As [`read_text_file`], for a file that this process trusts as if it had written it.
///
/// # Errors
///
/// As [`read_text_file`], and when another user but root may have put it there: a link or a file in a folder where
/// everybody may put one.
pub fn read_own_text_file(path: &Path, limit: u64) -> io::Result<String> {
    let file = open_own(path, OpenOptions::new().read(true))?;
    let metadata = file.metadata()?;
    check_regular(path, &metadata)?;
    text(read(&file, &metadata, limit)?)
}

/// As [`read_file`], and the file has to be UTF-8.
///
/// # Errors
///
/// As [`read_file`], and when it is not UTF-8.
pub fn read_text_file(path: &Path, limit: u64) -> io::Result<String> {
    text(read_file(path, limit)?)
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

/// Opens whatever there is for reading, at once.
pub(crate) fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let file = OpenOptions::new().read(true).custom_flags(NO_WAIT.bits()).open(path)?;
    let metadata = file.metadata()?;
    Ok((file, metadata))
}

/// Refuses what is no regular file.
pub(crate) fn check_regular(path: &Path, metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() || is_null(metadata) {
        Ok(())
    } else if metadata.is_dir() {
        Err(Errno::EISDIR.into())
    } else {
        let what = if path.exists() { "it is not a regular file" } else { "it is gone" };
        Err(io::Error::new(io::ErrorKind::InvalidInput, what))
    }
}

/// Reads an open file that has to be no larger than `limit` bytes.
pub(crate) fn read(file: &File, metadata: &Metadata, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if metadata.len() <= limit {
        file.take(limit + 1).read_to_end(&mut bytes)?;
    }
    if metadata.len() > limit || bytes.len() as u64 > limit { Err(too_large(limit)) } else { Ok(bytes) }
}

pub(crate) fn too_large(limit: u64) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {limit} bytes"))
}

fn is_null(metadata: &Metadata) -> bool {
    let is_same = |null: Metadata| null.rdev() == metadata.rdev();
    metadata.file_type().is_char_device() && fs::metadata(NULL).is_ok_and(is_same)
}

/// Opens a file that this process writes, or trusts, at once. A link is only followed, and a file that is there is
/// only taken, where no other user but root can have put it there; so nobody leads a program with more rights to a
/// file of his choice.
///
/// # Errors
///
/// When it cannot be opened, and when another user may have laid it out.
pub(crate) fn open_own(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    check_folders(path, MOST_LINKS)?;
    let folder = Folder::of(path)?;
    let is_link = fs::symlink_metadata(path).ok().filter(|there| there.is_symlink());
    let flags = match &is_link {
        Some(link) => {
            folder.check_link(link)?;
            NO_WAIT
        }
        None => NO_WAIT.union(OFlag::O_NOFOLLOW),
    };
    let opened = options.custom_flags(flags.bits()).open(path);
    let file = opened.map_err(|error| match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ELOOP) => untrusted("it is a symbolic link"),
        _ => error,
    })?;
    if is_link.is_none() {
        folder.check_file(&file.metadata()?)?;
    }
    Ok(file)
}

/// Creates a file to write to, or empties the one that is there, as long as no other user but root can have put it
/// there.
///
/// # Errors
///
/// When it cannot be written, and when it is a link, a further name of a file, or a file that another user may have
/// laid out.
pub fn create_own_file(path: &Path) -> io::Result<File> {
    let file = open_own(path, OpenOptions::new().write(true).create(true).truncate(false))?;
    if file.metadata()?.is_file() {
        file.set_len(0)?;
    }
    Ok(file)
}

/// Creates the folder of a file that [`open_own`] is to open, and those above it, as needed.
///
/// # Errors
///
/// When it cannot be created, and when another user may have laid out a link on the way.
#[cfg(feature = "program")]
pub(crate) fn create_folder_of(path: &Path) -> io::Result<()> {
    check_folders(path, MOST_LINKS)?;
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

/// Refuses a path on which another user but root may have laid out a link to a folder.
fn check_folders(path: &Path, links: usize) -> io::Result<()> {
    for folder in path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()) {
        let Some(link) = fs::symlink_metadata(folder).ok().filter(Metadata::is_symlink) else { continue };
        let refused = |error: io::Error| untrusted(&format!("`{}`: {error}", folder.display()));
        Folder::of(folder).and_then(|parent| parent.check_link(&link)).map_err(refused)?;
        let Some(links) = links.checked_sub(1) else { return Err(Errno::ELOOP.into()) };
        let target = folder.parent().unwrap_or(Path::new("/")).join(fs::read_link(folder)?);
        // The target is a folder of whatever is in it, and may be a link in turn.
        check_folders(&target.join("file"), links)?;
    }
    Ok(())
}

/// The folder that a file is in, and who may put files there.
struct Folder(Metadata);

impl Folder {
    fn of(path: &Path) -> io::Result<Folder> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        fs::metadata(folder.unwrap_or(Path::new("."))).map(Folder)
    }

    fn is_open_to_all(&self) -> bool {
        self.0.mode() & WORLD_WRITABLE != 0
    }

    fn check_link(&self, link: &Metadata) -> io::Result<()> {
        if !is_trusted(link.uid()) {
            return Err(untrusted("it is a symbolic link of another user"));
        }
        if !is_trusted(self.0.uid()) || self.is_open_to_all() && self.0.mode() & STICKY == 0 {
            return Err(untrusted("it is a symbolic link in a folder where others may put one"));
        }
        Ok(())
    }

    fn check_file(&self, file: &Metadata) -> io::Result<()> {
        let is_shared = self.is_open_to_all() || !is_trusted(self.0.uid());
        if file.is_file() && is_shared && file.nlink() > 1 {
            return Err(untrusted("it has another name, in a folder where others may put one"));
        }
        if !file.is_dir() && self.is_open_to_all() && !is_trusted(file.uid()) {
            return Err(untrusted("it belongs to another user, in a folder where everybody may put one"));
        }
        Ok(())
    }
}

/// Returns whether a user may lay out files for this process.
pub(crate) fn is_trusted(user: u32) -> bool {
    user == 0 || user == Uid::effective().as_raw()
}

fn untrusted(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
