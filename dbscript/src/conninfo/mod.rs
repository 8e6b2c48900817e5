//! Connection strings, completed as libpq completes them.

mod target;

use std::path::Path;

use nix::unistd::{Uid, User};
use postgres::Config;
use postgres::config::{Host, LoadBalanceHosts, TargetSessionAttrs};

pub(crate) use self::target::{Endpoint, SessionAttrs, Target};
use crate::Error;
use crate::tls::{RootCert, SslMode, TlsSettings};

/// Where the server's socket is, in the order in which distributions put it.
const SOCKET_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];
const DEFAULT_PORT: u16 = 5432;

/// Parses `key=value` pairs or a URI; what it leaves out comes from `env` (the `PG*` variables), then from
/// libpq's defaults: the local socket folder, port 5432, the operating system user, a database of that name.
pub(crate) fn parse(text: &str, env: impl Fn(&str) -> Option<String>) -> Result<Target, Error> {
    let mut config: Config = text.parse().map_err(|error| invalid(text, error))?;
    if config.get_ssl_mode() == postgres::config::SslMode::Require {
        return Err(Error::usage("sslmode=require: connections are not encrypted yet"));
    }
    let env = |name: &str| env(name).filter(|value| !value.is_empty());
    complete_address(&mut config, &env)?;
    complete_identity(&mut config, &env)?;
    if config.get_options().is_none()
        && let Some(options) = env("PGOPTIONS")
    {
        config.options(&options);
    }
    if config.get_application_name().is_none()
        && let Some(name) = env("PGAPPNAME")
    {
        config.application_name(&name);
    }
    if config.get_connect_timeout().is_none()
        && let Some(timeout) = env("PGCONNECT_TIMEOUT")
    {
        let seconds: u64 = parse_variable("PGCONNECT_TIMEOUT", &timeout)?;
        config.connect_timeout(std::time::Duration::from_secs(seconds));
    }
    from_driver(&config)
}

fn from_driver(config: &Config) -> Result<Target, Error> {
    let password = config.get_password().map(|password| String::from_utf8_lossy(password).into_owned());
    let (hosts, addresses, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
    let count = hosts.len().max(addresses.len());
    let same = |len: usize, one: bool| len == 0 || len == count || (one && len == 1);
    if !same(hosts.len(), false) || !same(addresses.len(), false) || !same(ports.len(), true) {
        return Err(Error::usage("invalid connection string: numbers of hosts, addresses and ports differ"));
    }
    let endpoint = |at: usize| {
        let hostaddr = addresses.get(at).copied();
        Endpoint {
            host: hosts.get(at).cloned().unwrap_or_else(|| {
                Host::Tcp(hostaddr.map(|address| address.to_string()).unwrap_or_default())
            }),
            hostaddr,
            port: ports.get(at).or(ports.first()).copied().unwrap_or(DEFAULT_PORT),
            password: password.clone(),
        }
    };
    Ok(Target {
        hosts: (0..count).map(endpoint).collect(),
        common: common(config),
        tls: TlsSettings {
            mode: match config.get_ssl_mode() {
                postgres::config::SslMode::Disable => SslMode::Disable,
                _ => SslMode::Prefer,
            },
            root_cert: RootCert::None,
            cert: None,
            key: None,
            key_password: None,
            crl: None,
            sni: true,
            direct: false,
            min_version: None,
            max_version: None,
        },
        session: match config.get_target_session_attrs() {
            TargetSessionAttrs::ReadWrite => SessionAttrs::ReadWrite,
            TargetSessionAttrs::ReadOnly => SessionAttrs::ReadOnly,
            _ => SessionAttrs::Any,
        },
        shuffled: config.get_load_balance_hosts() == LoadBalanceHosts::Random,
    })
}

fn common(config: &Config) -> Config {
    let mut common = Config::new();
    common
        .user(config.get_user().unwrap_or_default())
        .dbname(config.get_dbname().unwrap_or_default())
        .keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle())
        .channel_binding(config.get_channel_binding());
    if let Some(options) = config.get_options() {
        common.options(options);
    }
    if let Some(name) = config.get_application_name() {
        common.application_name(name);
    }
    if let Some(timeout) = config.get_connect_timeout() {
        common.connect_timeout(*timeout);
    }
    if let Some(timeout) = config.get_tcp_user_timeout() {
        common.tcp_user_timeout(*timeout);
    }
    if let Some(interval) = config.get_keepalives_interval() {
        common.keepalives_interval(interval);
    }
    if let Some(retries) = config.get_keepalives_retries() {
        common.keepalives_retries(retries);
    }
    common
}

/// The driver names options that it does not know, and one of those may be a piece of the password.
fn invalid(text: &str, error: postgres::Error) -> Error {
    let invalid = Error::usage("invalid connection string, which is `key=value` pairs or a URI");
    let line = crate::describe(&error);
    if line.contains("unknown option") && text.contains("password") {
        return invalid.caused_by("unknown option, not named here because it may be a part of the password");
    }
    invalid.caused_by(error)
}

fn complete_address(config: &mut Config, env: &impl Fn(&str) -> Option<String>) -> Result<(), Error> {
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        match env("PGHOST") {
            Some(hosts) => {
                for host in hosts.split(',') {
                    config.host(host);
                }
            }
            None => {
                let folder = SOCKET_FOLDERS.iter().find(|folder| Path::new(folder).is_dir());
                config.host_path(folder.unwrap_or(&SOCKET_FOLDERS[0]));
            }
        }
    }
    if config.get_ports().is_empty() {
        let port = env("PGPORT");
        let port = port.map(|port| parse_variable("PGPORT", &port)).transpose()?;
        config.port(port.unwrap_or(DEFAULT_PORT));
    }
    Ok(())
}

fn complete_identity(config: &mut Config, env: &impl Fn(&str) -> Option<String>) -> Result<(), Error> {
    if config.get_user().is_none() {
        let user = match env("PGUSER") {
            Some(user) => user,
            None => system_user()?,
        };
        config.user(&user);
    }
    if config.get_password().is_none()
        && let Some(password) = env("PGPASSWORD")
    {
        config.password(password);
    }
    if config.get_dbname().is_none() {
        let user = config.get_user().unwrap_or_default().to_owned();
        config.dbname(&env("PGDATABASE").unwrap_or(user));
    }
    Ok(())
}

fn parse_variable<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, Error> {
    value
        .parse()
        .map_err(|_| Error::usage(format!("invalid value `{value}` in the environment variable {name}")))
}

fn system_user() -> Result<String, Error> {
    match User::from_uid(Uid::effective()) {
        Ok(Some(user)) => Ok(user.name),
        _ => Err(Error::usage("the operating system user has no name: set `user` in the connection string")),
    }
}

/// Names a connection's target for messages: database, host, port and user, never the password.
pub(crate) fn target(target: &Target) -> String {
    target.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, variables: &[(&str, &str)], expected: &str) {
        let env = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let config = parse(text, env).expect("the string is valid");
        assert_eq!(target(&config), expected);
    }

    #[test]
    fn what_the_string_omits_comes_from_the_environment() {
        let variables = [("PGHOST", "/sock"), ("PGPORT", "5433"), ("PGUSER", "u"), ("PGDATABASE", "d")];
        check("dbname=sourcedb", &variables, "database `sourcedb` at `/sock` port 5433 as user `u`");
        check("", &variables, "database `d` at `/sock` port 5433 as user `u`");
        check("host=h port=1 user=me", &variables, "database `d` at `h` port 1 as user `me`");
        check("postgresql://x@h1:1,h2:2/db", &variables, "database `db` at `h1,h2` port 1,2 as user `x`");
    }

    #[test]
    fn without_an_environment_the_system_user_names_role_and_database() {
        let user = system_user().expect("tests run as a named user");
        let expected = format!("database `{user}` at `h` port 5432 as user `{user}`");
        check("host=h", &[], &expected);
    }

    #[test]
    fn a_broken_string_is_a_usage_error_without_its_secrets() {
        let error = parse("host=h password=s3cret sslmode=perhaps", |_| None).expect_err("bad sslmode");
        assert!(error.is_usage());
        let line = crate::describe(&error);
        assert!(line.contains("sslmode") && !line.contains("s3cret"), "{line}");
        let error = parse("host=h password=s3 cret=x", |_| None).expect_err("an unknown option");
        assert!(!crate::describe(&error).contains("cret"), "{error:?}");
    }
}
