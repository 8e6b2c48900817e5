//! The commands of the contestants.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::BoxError;
use crate::testbed::Testbed;

/// The interpreter of the distribution's package python3-pgq.
pub(crate) const PYTHON: &str = "/usr/bin/python3";

/// Makes the command of psql with one statement.
pub(crate) fn psql(testbed: &Testbed, database: &str, statement: &str) -> Command {
    let mut command = Command::new(testbed.psql());
    command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &testbed.conninfo(database), "-c", statement]);
    command
}

/// Makes the command of a script in `benches/python`.
pub(crate) fn python(script: &str) -> Command {
    let mut command = Command::new(PYTHON);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/python").join(script));
    command
}

/// Makes the command of a program of the workspace, built with the same profile.
///
/// # Errors
///
/// When the program is not built.
pub(crate) fn program(name: &str) -> Result<Command, BoxError> {
    let own = std::env::current_exe()?;
    let path: PathBuf = own.parent().and_then(Path::parent).unwrap_or(&own).join(name);
    if !path.is_file() {
        return Err(format!("`{}` is missing: run `scripts/bench`", path.display()).into());
    }
    Ok(Command::new(path))
}

/// Makes the command of this program as a client of the crate; see [`crate::crate_client`].
///
/// # Errors
///
/// When the path of this program cannot be determined.
pub(crate) fn crate_client(args: &[&str]) -> Result<Command, BoxError> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(args);
    Ok(command)
}
