//! Connection strings, parsed and completed as libpq does.

mod common;
mod dead_peer;
mod encryption;
mod endpoint;
mod environment;
mod hosts;
mod keyword_value;
mod keywords;
mod options;
mod other_drivers;
mod passfile;
mod service;
mod session_attrs;
mod target;
mod unsupported;
mod uri;

#[cfg(test)]
mod tests;

pub(crate) use self::dead_peer::DeadPeerDetection;
pub(crate) use self::endpoint::Endpoint;
use self::environment::Environment;
use self::options::Options;
pub(crate) use self::session_attrs::SessionAttrs;
pub(crate) use self::target::Target;
use crate::error::{Error, ErrorKind};

/// Parses a connection string, which is a list of `key=value` pairs or a URI. Missing values are completed in this
/// order:
///
/// 1. the service;
/// 2. `env`, which returns the `PG*` variables;
/// 3. the password file, for the password;
/// 4. libpq's defaults: the local socket folder, port 5432, the operating system user, a database of the same name.
///
/// # Errors
///
/// The messages contain the keyword and never a password or a possible part of one. An error in the string itself is a
/// usage error. An error in a service is not, since the service file may be missing or incomplete for a moment.
pub(crate) fn parse(text: &str, env: impl Fn(&str) -> Option<String>) -> Result<Target, Error> {
    let environment = Environment::new(&env);
    let mut options = given(text)?;
    let has_service = service::name(&options, &environment).is_some();
    let understood = complete(&mut options, &environment).and_then(|()| resolve(&options, &environment));
    understood.map_err(|error| if has_service { error.with_kind(ErrorKind::Failed) } else { error })
}

/// Returns true if a text begins as a connection URI.
#[cfg(feature = "program")]
pub(crate) fn is_uri(text: &str) -> bool {
    uri::strip_prefix(text).is_some()
}

fn resolve(options: &Options, environment: &Environment<'_>) -> Result<Target, Error> {
    let common = common::read(options, environment)?;
    let (database, user) = (common.get_dbname().unwrap_or_default(), common.get_user().unwrap_or_default());
    let hosts = hosts::read(options, environment, database, user)?;
    unsupported::check(options, &hosts)?;
    let order = [("disable", false), ("random", true)];
    Ok(Target {
        tls: encryption::read(options, environment)?,
        session: SessionAttrs::read(options)?,
        dead_peer: DeadPeerDetection::read(options)?,
        shuffled: options.choice("load_balance_hosts", &order)?.unwrap_or(false),
        hosts,
        common,
    })
}

/// Returns the options in the string itself.
fn given(text: &str) -> Result<Options, Error> {
    if text.contains('\0') {
        return Err(Error::usage("invalid connection string: it contains a zero byte"));
    }
    match uri::strip_prefix(text) {
        Some(rest) => uri::check(rest).and_then(|()| uri::parse(rest)),
        None => keyword_value::parse(text),
    }
}

/// Adds the options of the service, and then those of the environment.
fn complete(options: &mut Options, environment: &Environment<'_>) -> Result<(), Error> {
    service::add(options, environment)?;
    options.add_variables(environment.variables());
    Ok(())
}
