//! The settings of a connection string that are the same for all hosts.

use std::time::Duration;

use postgres::config::ChannelBinding;
use tokio_postgres::Config;

use super::environment::Environment;
use super::keywords::is_blank;
use super::options::Options;
use crate::error::Error;

/// The shortest `connect_timeout` of libpq, in seconds.
const MIN_CONNECT_TIMEOUT: i32 = 2;
/// Environment variables, and the session parameters that they set.
const PARAMETERS: [(&str, &str); 3] =
    [("PGDATESTYLE", "datestyle"), ("PGTZ", "timezone"), ("PGGEQO", "geqo")];

/// Reads user, database, application name, start options and time-outs.
pub(super) fn read(options: &Options, environment: &Environment<'_>) -> Result<Config, Error> {
    let mut config = Config::new();
    let user = options.given("user").map(str::to_owned).map_or_else(|| environment.user(), Ok)?;
    config.dbname(options.given("dbname").unwrap_or(&user)).user(&user);
    let start = start_options(options, environment);
    if !start.is_empty() {
        config.options(&start);
    }
    // An empty name counts as given and hides the fallback.
    let name = options.get("application_name").or(options.given("fallback_application_name"));
    if let Some(name) = name {
        config.application_name(name);
    }
    config.channel_binding(channel_binding(options)?);
    read_timeouts(options, &mut config)?;
    Ok(config)
}

/// Returns `options` followed by the parameters of the environment, which take precedence.
fn start_options(options: &Options, environment: &Environment<'_>) -> String {
    let mut start = options.given("options").unwrap_or_default().to_owned();
    for (variable, parameter) in PARAMETERS {
        let Some(value) = environment.variable(variable) else { continue };
        if value.eq_ignore_ascii_case("default") {
            continue;
        }
        if !start.is_empty() {
            start.push(' ');
        }
        start.push_str(&format!("-c {parameter}="));
        for c in value.chars() {
            if is_blank(c) || c == '\\' {
                start.push('\\');
            }
            start.push(c);
        }
    }
    start
}

fn channel_binding(options: &Options) -> Result<ChannelBinding, Error> {
    let choices = [
        ("disable", ChannelBinding::Disable),
        ("prefer", ChannelBinding::Prefer),
        ("require", ChannelBinding::Require),
    ];
    Ok(options.choice("channel_binding", &choices)?.unwrap_or(ChannelBinding::Prefer))
}

/// Reads the time-outs. Zero and negative values mean the default of the operating system.
fn read_timeouts(options: &Options, config: &mut Config) -> Result<(), Error> {
    let positive = |keyword: &str| -> Result<Option<i32>, Error> {
        Ok(options.integer(keyword)?.filter(|number| *number > 0))
    };
    let seconds = |number: i32| Duration::from_secs(u64::from(number.unsigned_abs()));
    if let Some(timeout) = positive("connect_timeout")? {
        config.connect_timeout(seconds(timeout.max(MIN_CONNECT_TIMEOUT)));
    }
    if let Some(timeout) = positive("tcp_user_timeout")? {
        config.tcp_user_timeout(Duration::from_millis(u64::from(timeout.unsigned_abs())));
    }
    config.keepalives(options.integer("keepalives")? != Some(0));
    if let Some(idle) = positive("keepalives_idle")? {
        config.keepalives_idle(seconds(idle));
    }
    if let Some(interval) = positive("keepalives_interval")? {
        config.keepalives_interval(seconds(interval));
    }
    if let Some(count) = positive("keepalives_count")? {
        config.keepalives_retries(count.unsigned_abs());
    }
    Ok(())
}
