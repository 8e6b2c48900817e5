//! The search for the server's binaries.

use std::env;
use std::fs;
use std::path::{self, Path, PathBuf};
use std::process::{Command, Stdio};

/// Returns the folder of the binaries, preferably of a version that offers the extension `pgq`.
///
/// # Errors
///
/// Says in one line what to do when there is none.
pub(super) fn find() -> Result<PathBuf, String> {
    let missing = "PostgreSQL's server is not installed (no `initdb` and `postgres`";
    let complete = |dir: &PathBuf| dir.join("initdb").is_file() && dir.join("postgres").is_file();
    if let Some(dir) = env::var_os("PG_BINDIR") {
        let missing = format!("{missing} in PG_BINDIR `{}`): run `scripts/setup`", Path::new(&dir).display());
        return path::absolute(dir).ok().filter(complete).ok_or(missing);
    }
    let found: Vec<PathBuf> = candidate_bindirs().into_iter().filter(complete).collect();
    let with_pgq = found.iter().find(|dir| offers_pgq(dir)).cloned();
    with_pgq
        .or_else(|| found.into_iter().next())
        .ok_or_else(|| format!("{missing} found): run `scripts/setup`"))
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
