//! Connection strings, read and completed as libpq reads and completes them.

mod common;
mod encryption;
mod endpoint;
mod hosts;
mod keywords;
mod options;
mod pairs;
mod passfile;
mod service;
mod session_attrs;
mod silence;
mod surroundings;
mod target;
mod unsupported;
mod uri;

#[cfg(test)]
mod tests;

pub(crate) use self::endpoint::Endpoint;
use self::options::Options;
pub(crate) use self::session_attrs::SessionAttrs;
pub(crate) use self::silence::Silence;
use self::surroundings::Surroundings;
pub(crate) use self::target::Target;
use crate::error::{Error, ErrorKind};

/// Parses `key=value` pairs or a URI. What it leaves out comes from its service, then from `env` (the `PG*`
/// variables), the password from the password file, and the rest from libpq's defaults: the local socket
/// folder, port 5432, the operating system user, a database of that name.
///
/// # Errors
///
/// They name the keyword; never a password, nor what may be a piece of one. What is wrong with the string itself is a
/// usage error. A file may be away, or half written, for a moment, so whatever comes of one is not.
pub(crate) fn parse(text: &str, env: impl Fn(&str) -> Option<String>) -> Result<Target, Error> {
    let surroundings = Surroundings::new(&env);
    let mut options = given(text)?;
    let has_service = service::name(&options, &surroundings).is_some();
    let understood = complete(&mut options, &surroundings).and_then(|()| understand(&options, &surroundings));
    understood.map_err(|error| if has_service { error.with_kind(ErrorKind::Failed) } else { error })
}

fn understand(options: &Options, surroundings: &Surroundings<'_>) -> Result<Target, Error> {
    let common = common::read(options, surroundings)?;
    let (database, user) = (common.get_dbname().unwrap_or_default(), common.get_user().unwrap_or_default());
    let hosts = hosts::read(options, surroundings, database, user)?;
    unsupported::check(options, &hosts)?;
    let order = [("disable", false), ("random", true)];
    Ok(Target {
        tls: encryption::read(options, surroundings)?,
        session: SessionAttrs::read(options)?,
        silence: Silence::read(options)?,
        shuffled: options.choice("load_balance_hosts", &order)?.unwrap_or(false),
        hosts,
        common,
    })
}

/// Returns what the string gives.
fn given(text: &str) -> Result<Options, Error> {
    if text.contains('\0') {
        return Err(Error::usage("invalid connection string: it holds a zero byte"));
    }
    match uri::strip_prefix(text) {
        Some(rest) => uri::check(rest).and_then(|()| uri::parse(rest)),
        None => pairs::parse(text),
    }
}

/// Adds what the service gives, and then what the environment does.
fn complete(options: &mut Options, surroundings: &Surroundings<'_>) -> Result<(), Error> {
    service::add(options, surroundings)?;
    options.add_variables(surroundings.variables());
    Ok(())
}
