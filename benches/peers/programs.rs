//! The processes that take part.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::BoxError;
use crate::ground::Ground;

/// The interpreter that the distribution's package python3-pgq belongs to.
pub(crate) const PYTHON: &str = "/usr/bin/python3";

/// Makes a psql that runs one statement.
pub(crate) fn psql(ground: &Ground, database: &str, statement: &str) -> Command {
    let mut command = Command::new(ground.psql());
    command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &ground.conninfo(database), "-c", statement]);
    command
}

/// Makes a program out of `benches/python`.
pub(crate) fn python(script: &str) -> Command {
    let mut command = Command::new(PYTHON);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/python").join(script));
    command
}

/// Makes an example of the workspace, built in the same profile.
///
/// # Errors
///
/// When it is not built.
pub(crate) fn example(name: &str) -> Result<Command, BoxError> {
    let own = std::env::current_exe()?;
    let path: PathBuf = own.parent().and_then(Path::parent).unwrap_or(&own).join("examples").join(name);
    if !path.is_file() {
        return Err(format!("`{}` is missing: run `scripts/bench`", path.display()).into());
    }
    Ok(Command::new(path))
}

/// Makes this program in one of its own parts.
///
/// # Errors
///
/// When the system does not tell where it is.
pub(crate) fn subject(args: &[&str]) -> Result<Command, BoxError> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(args);
    Ok(command)
}
