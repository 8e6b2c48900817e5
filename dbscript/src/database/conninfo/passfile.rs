//! Password files such as `~/.pgpass`.

use std::fs::Metadata;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::error::Error;
use crate::files;

/// The largest password file, in bytes.
const LIMIT: u64 = 16 * 1024 * 1024;

/// A password file, with lines `host:port:database:user:password`.
pub(super) struct Passfile {
    path: PathBuf,
    content: Vec<u8>,
}

impl Passfile {
    /// Reads a file. A missing file counts as empty, and so does a file that other users can access, with one warning.
    pub(super) fn read(path: &Path) -> Passfile {
        let opened = files::open(path).ok().filter(|(_, metadata)| is_private(path, metadata));
        let content = opened.map(|(file, metadata)| files::read(&file, &metadata, LIMIT));
        let content = content.unwrap_or_else(|| Ok(Vec::new())).unwrap_or_else(|error| {
            warn_once(path, &error.to_string());
            Vec::new()
        });
        Passfile { path: path.to_owned(), content }
    }

    /// Returns the password of the first matching line.
    ///
    /// # Errors
    ///
    /// Fails if the password is not UTF-8.
    pub(super) fn find(
        &self,
        host: &str,
        port: &str,
        database: &str,
        user: &str,
    ) -> Result<Option<String>, Error> {
        let mut lines = self.content.split(|byte| *byte == b'\n').map(without_returns);
        let fields = [host, port, database, user];
        let found = lines.find_map(|line| {
            let is_comment = line.starts_with(b"#");
            fields.iter().try_fold(line, |line, field| after_match(line, field)).filter(|_| !is_comment)
        });
        let Some(password) = found.map(unescape).filter(|password| !password.is_empty()) else {
            return Ok(None);
        };
        String::from_utf8(password).map(Some).map_err(|_| {
            Error::failed(format!("password file `{}`: a password is not UTF-8", self.path.display()))
        })
    }
}

/// Returns true if the file is a regular file with access for its owner only. Logs a warning otherwise.
fn is_private(path: &Path, metadata: &Metadata) -> bool {
    let public = metadata.permissions().mode() & 0o077 != 0;
    if !metadata.is_file() {
        warn_once(path, "it is not a regular file");
    } else if public {
        warn_once(path, "group or others have access; its permissions should be 0600 or less");
    }
    metadata.is_file() && !public
}

/// Logs a warning once per file, since the file is read for each new connection. Before the log is set up, the warning
/// is deferred.
fn warn_once(path: &Path, why: &str) {
    static WARNED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    let mut warned = WARNED.lock().unwrap_or_else(PoisonError::into_inner);
    if log::log_enabled!(log::Level::Warn) && !warned.iter().any(|other| other == path) {
        log::warn!("password file `{}` is ignored: {why}", path.display());
        warned.push(path.to_owned());
    }
}

/// Returns the line after its first field if that field matches: it is `*`, or the expected text, in which backslashes
/// may escape characters.
fn after_match<'a>(line: &'a [u8], expected: &str) -> Option<&'a [u8]> {
    if let Some(rest) = line.strip_prefix(b"*:") {
        return Some(rest);
    }
    let mut rest = line;
    for byte in expected.as_bytes() {
        rest = rest.strip_prefix(b"\\").unwrap_or(rest).strip_prefix(&[*byte])?;
    }
    rest.strip_prefix(b":")
}

/// Returns the text before the next colon; a backslash escapes the next character.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut bytes = field.iter().copied();
    while let Some(byte) = bytes.next().filter(|byte| *byte != b':') {
        text.push(if byte == b'\\' { bytes.next().unwrap_or(byte) } else { byte });
    }
    text
}

fn without_returns(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|byte| *byte != b'\r').map_or(0, |last| last + 1);
    &line[..end]
}
