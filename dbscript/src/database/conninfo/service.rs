//! Services: named groups of options in `pg_service.conf`.

use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::keywords::{self, is_blank};
use super::options::{Options, Origin};
use crate::error::Error;
use crate::files::read_file;

/// The largest service file, in bytes.
const LIMIT: u64 = 16 * 1024 * 1024;
const HOME_FILE: &str = ".pg_service.conf";
const SYSTEM_FILE: &str = "pg_service.conf";
/// The system's configuration folder of libpq on Debian. `PGSYSCONFDIR` overrides it.
const SYSTEM_FOLDER: &str = "/etc/postgresql-common";

/// Adds the options of the service that the string or `PGSERVICE` selects.
///
/// The user's file (`PGSERVICEFILE`, or else `~/.pg_service.conf`) takes precedence over the system's file.
///
/// # Errors
///
/// Fails if no file defines the service, or a file is invalid. Messages contain the number of a line, never its
/// content.
pub(super) fn add(options: &mut Options, environment: &Environment<'_>) -> Result<(), Error> {
    let Some(name) = name(options, environment) else { return Ok(()) };
    for file in files(environment) {
        if add_from(options, &file, &name)? {
            return Ok(());
        }
    }
    Err(Error::usage(format!("the definition of service `{}` was not found", name.escape_debug())))
}

/// Returns the name of the service in the string or in `PGSERVICE`.
pub(super) fn name(options: &Options, environment: &Environment<'_>) -> Option<String> {
    options.get("service").map(str::to_owned).or_else(|| environment.variable("PGSERVICE"))
}

fn files(environment: &Environment<'_>) -> Vec<PathBuf> {
    let existing = |file: &PathBuf| file.exists();
    let user = match environment.variable("PGSERVICEFILE") {
        Some(file) => Some(PathBuf::from(file)),
        None => environment.home_file(HOME_FILE).filter(existing),
    };
    let folder = environment.variable("PGSYSCONFDIR").unwrap_or_else(|| SYSTEM_FOLDER.to_owned());
    let system = Some(Path::new(&folder).join(SYSTEM_FILE)).filter(existing);
    user.into_iter().chain(system).collect()
}

/// Adds the options of the service in a file. Returns true if the file defines the service.
fn add_from(options: &mut Options, file: &Path, name: &str) -> Result<bool, Error> {
    let content = read_file(file, LIMIT)
        .map_err(|error| Error::usage(format!("service file `{}`", file.display())).caused_by(error))?;
    let invalid = |number: usize, why: &str| {
        Error::usage(format!("service file `{}`, line {number}: {why}", file.display()))
    };
    let header = format!("[{name}]");
    let mut found = false;
    for (number, line) in (1..).zip(content.split(|byte| *byte == b'\n')) {
        let Ok(line) = str::from_utf8(line) else {
            if found {
                return Err(invalid(number, "not UTF-8"));
            }
            continue;
        };
        let line = line.trim_matches(is_blank);
        if line.starts_with('[') {
            if found {
                break;
            }
            found = line.starts_with(&header);
        } else if found && !line.is_empty() && !line.starts_with('#') {
            add_line(options, line).map_err(|why| invalid(number, &why))?;
        }
    }
    Ok(found)
}

fn add_line(options: &mut Options, line: &str) -> Result<(), String> {
    if line.starts_with("ldap") {
        return Err("services from LDAP are not supported".to_owned());
    }
    let (keyword, value) = line.split_once('=').ok_or("neither `keyword=value` nor `[service]`")?;
    if keyword == "service" {
        return Err("a service cannot refer to another".to_owned());
    }
    if keywords::find(keyword).is_none() {
        return Err("unknown keyword".to_owned());
    }
    options.add(keyword, value.to_owned(), Origin::Service);
    Ok(())
}
