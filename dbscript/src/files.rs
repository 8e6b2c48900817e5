//! Files at paths that other users choose or can write to: opening never blocks, reading is limited, and planted
//! links are refused.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::Uid;

/// The device that counts as an empty file.
const NULL: &str = "/dev/null";
/// Opens without waiting for the other end of a pipe or for a modem, and without making a terminal the controlling one.
const NO_WAIT: OFlag = OFlag::O_NONBLOCK.union(OFlag::O_NOCTTY);

/// The kernel's limit on the number of links in one path.
const MAX_LINKS: usize = 40;

const WORLD_WRITABLE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Reads a regular file, or `/dev/null`, of at most `limit` bytes.
///
/// # Errors
///
/// Fails if the file cannot be read, is larger than `limit`, or is of another kind, such as a pipe or a device. Reading
/// never waits for such a file.
pub fn read_file(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let (file, metadata) = open(path)?;
    check_regular(path, &metadata)?;
    read(&file, &metadata, limit)
}

/// Reads a text file as [`read_text_file`] does, and refuses a file that an untrusted user can have planted. Trusted
/// users are root and the user of this process.
///
/// # Errors
///
/// Fails as [`read_text_file`] does, and if the path leads through a link or to a file that another user can have
/// created in a folder that everybody may write to.
pub fn read_trusted_text_file(path: &Path, limit: u64) -> io::Result<String> {
    let file = open_trusted(path, OpenOptions::new().read(true))?;
    let metadata = file.metadata()?;
    check_regular(path, &metadata)?;
    text(read(&file, &metadata, limit)?)
}

/// Reads a file as [`read_file`] does, as UTF-8 text.
///
/// # Errors
///
/// Fails as [`read_file`] does, and if the content is not UTF-8.
pub fn read_text_file(path: &Path, limit: u64) -> io::Result<String> {
    text(read_file(path, limit)?)
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

/// Opens a file of any kind for reading, without waiting.
pub(crate) fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let file = OpenOptions::new().read(true).custom_flags(NO_WAIT.bits()).open(path)?;
    let metadata = file.metadata()?;
    Ok((file, metadata))
}

/// Refuses a file that is neither regular nor `/dev/null`.
pub(crate) fn check_regular(path: &Path, metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() || is_null(metadata) {
        Ok(())
    } else if metadata.is_dir() {
        Err(Errno::EISDIR.into())
    } else {
        let reason = if path.exists() { "it is not a regular file" } else { "it is gone" };
        Err(io::Error::new(io::ErrorKind::InvalidInput, reason))
    }
}

/// Reads an open file of at most `limit` bytes.
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

/// Opens a file that this process writes or trusts, without waiting.
///
/// A link is followed, and an existing file is used, only if no untrusted user can have created it (DESIGN.md, D80).
///
/// # Errors
///
/// Fails if the file cannot be opened, and if an untrusted user can have planted it.
pub(crate) fn open_trusted(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    check_folders(path, MAX_LINKS)?;
    let folder = Folder::of(path)?;
    let link = fs::symlink_metadata(path).ok().filter(Metadata::is_symlink);
    let flags = match &link {
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
    if link.is_none() {
        folder.check_file(&file.metadata()?)?;
    }
    Ok(file)
}

/// Creates a file for writing, or empties an existing one. A file that an untrusted user can have planted is refused;
/// trusted users are root and the user of this process.
///
/// # Errors
///
/// Fails if the file cannot be written, and if the path is a link, a second name of a file, or a file that an untrusted
/// user can have created.
pub fn create_trusted_file(path: &Path) -> io::Result<File> {
    let file = open_trusted(path, OpenOptions::new().write(true).create(true).truncate(false))?;
    if file.metadata()?.is_file() {
        file.set_len(0)?;
    }
    Ok(file)
}

/// Creates the missing folders above a file that [`open_trusted`] opens next.
///
/// # Errors
///
/// Fails if a folder cannot be created, and if an untrusted user can have planted a link in the path.
#[cfg(feature = "program")]
pub(crate) fn create_folder_of(path: &Path) -> io::Result<()> {
    check_folders(path, MAX_LINKS)?;
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

/// Refuses a path through a link to a folder that an untrusted user can have planted.
fn check_folders(path: &Path, links: usize) -> io::Result<()> {
    for folder in path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()) {
        let Some(link) = fs::symlink_metadata(folder).ok().filter(Metadata::is_symlink) else { continue };
        let refused = |error: io::Error| untrusted(&format!("`{}`: {error}", folder.display()));
        Folder::of(folder).and_then(|parent| parent.check_link(&link)).map_err(refused)?;
        let Some(links) = links.checked_sub(1) else { return Err(Errno::ELOOP.into()) };
        let target = folder.parent().unwrap_or(Path::new("/")).join(fs::read_link(folder)?);
        // The target may be a link or contain links itself.
        check_folders(&target.join("file"), links)?;
    }
    Ok(())
}

/// The folder of a file, whose owner and mode decide who can create files in it.
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
            return Err(untrusted("it is a symbolic link in a folder that other users may write to"));
        }
        Ok(())
    }

    fn check_file(&self, file: &Metadata) -> io::Result<()> {
        let is_shared = self.is_open_to_all() || !is_trusted(self.0.uid());
        if file.is_file() && is_shared && file.nlink() > 1 {
            return Err(untrusted("it has a second name, in a folder that other users may write to"));
        }
        if !file.is_dir() && self.is_open_to_all() && !is_trusted(file.uid()) {
            return Err(untrusted("it belongs to another user, in a folder that everybody may write to"));
        }
        Ok(())
    }
}

/// Returns true if this process trusts the files of a user, which is root or the user of this process.
pub(crate) fn is_trusted(user: u32) -> bool {
    user == 0 || user == Uid::effective().as_raw()
}

fn untrusted(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
