//! The search for the server's binaries.

use std::env;
use std::fs;
use std::iter;
use std::path::{self, Path, PathBuf};
use std::process::{Command, Stdio};

/// Returns the folder of the binaries that `PG_BINDIR` names; without it one that is installed, preferably of a
/// version that offers the extension `pgq`.
///
/// # Errors
///
/// Says in one line what to do when there is none.
pub(super) fn find() -> Result<PathBuf, String> {
    let missing = "PostgreSQL's server is not installed (no `initdb` and `postgres`";
    if let Some(dir) = env::var_os("PG_BINDIR") {
        let missing = format!("{missing} in PG_BINDIR `{}`): run `scripts/setup`", Path::new(&dir).display());
        return path::absolute(dir).ok().filter(|dir| is_complete(dir)).ok_or(missing);
    }
    find_with_pgq()
        .or_else(|_| installed().next().ok_or_else(|| format!("{missing} found): run `scripts/setup`")))
}

/// Returns the folder of installed binaries that offer the extension `pgq`, regardless of `PG_BINDIR`.
///
/// # Errors
///
/// Says in one line what to do when there is none.
pub(super) fn find_with_pgq() -> Result<PathBuf, String> {
    let missing = "no PostgreSQL with the extension `pgq` is installed: run `scripts/setup`";
    installed().find(|dir| offers_pgq(dir)).ok_or_else(|| missing.to_owned())
}

/// Returns the path of a client program: the one that is delivered with a server, or one that is installed.
///
/// A program that is delivered with a server is no wrapper that changes the environment.
pub(super) fn find_client(server: &Path, name: &str) -> Option<PathBuf> {
    let folders = iter::once(server.to_owned()).chain(installed()).chain(candidate_bindirs());
    folders.map(|dir| dir.join(name)).find(|program| program.is_file())
}

fn installed() -> impl Iterator<Item = PathBuf> {
    candidate_bindirs().into_iter().filter(|dir| is_complete(dir))
}

fn is_complete(dir: &Path) -> bool {
    dir.join("initdb").is_file() && dir.join("postgres").is_file()
}

fn candidate_bindirs() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<PathBuf> = env::split_paths(&path).collect();
    dirs.extend(ask_pg_config(Path::new("pg_config"), "--bindir"));
    dirs.extend(versions_in("/usr/lib/postgresql", "").into_iter().map(|dir| dir.join("bin")));
    dirs.extend(versions_in("/usr", "pgsql-").into_iter().map(|dir| dir.join("bin")));
    dirs.push(PathBuf::from("/usr/local/pgsql/bin"));
    dirs
}

/// Returns the folders named by a prefix and a version number, newest first.
fn versions_in(parent: &str, prefix: &str) -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((version, entry.path()))
        })
        .collect();
    versions.sort_by(|a, b| b.cmp(a));
    versions.into_iter().map(|(_, dir)| dir).collect()
}

fn offers_pgq(bindir: &Path) -> bool {
    let prefix = bindir.parent().unwrap_or(bindir);
    let mut shares = vec![prefix.join("share"), prefix.join("share/postgresql")];
    shares.extend(ask_pg_config(&bindir.join("pg_config"), "--sharedir"));
    shares.extend(prefix.file_name().map(|version| Path::new("/usr/share/postgresql").join(version)));
    shares.iter().any(|share| share.join("extension/pgq.control").is_file())
}

fn ask_pg_config(program: &Path, switch: &str) -> Option<PathBuf> {
    let output = Command::new(program).arg(switch).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(text.trim_end()))
}
