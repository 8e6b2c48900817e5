//! The framework's own settings, read and checked before the program acts (DESIGN.md, D6).

use std::path::PathBuf;
use std::time::Duration;

use crate::config::Config;
use crate::config::key::Key;
use crate::database::databases::Databases;
use crate::error::Error;
use crate::error::pattern::ErrorPattern;
use crate::keys;
use crate::logging::{
    FORMAT_KEYS, LOG_COUNT, LOG_FORMAT, LOG_SIZE, LOGFILE, LogSettings, SKYLOG_LOCATIONS, USE_SKYLOG,
};
use crate::run::loop_settings::LoopSettings;

keys! {
    /// The first keys of every program.
    NAME_KEYS;

    pub(crate) JOB_NAME: optional("job_name"),
        "Name of the job in logs; must be unique. Defaults to the file's base name.";
    PIDFILE: optional("pidfile"), "File for the process id; needed by -d, -r, -s and -k. No default.";
}

keys! {
    /// The keys of every loop.
    LOOP_KEYS;

    LOOP_DELAY: default("loop_delay", "1.0"),
        "Seconds to sleep after a round that found nothing; 0: exit instead; below 0: one round only.";
    CONNECTION_LIFETIME: default("connection_lifetime", "1200"),
        "Seconds after which database connections are closed and reopened.";
    EXCEPTION_SLEEP: default("exception_sleep", "20"), "Seconds to wait after a failed round.";
    EXCEPTION_QUIET: optional("exception_quiet"),
        "Errors, separated by commas, that are logged as warnings at first: ALL, an SQLSTATE or the first two \
         characters of one, OperationalError and the like. No default.";
    EXCEPTION_GRACE: default("exception_grace", "300"),
        "Seconds after the first failed round for which such errors are warnings.";
    EXCEPTION_RESET: default("exception_reset", "900"),
        "Seconds without a failed round after which the next counts as the first.";
}

/// Returns the keys of every program, in the order of the sample file.
pub(crate) fn common_keys() -> impl Iterator<Item = &'static Key> {
    let log = [&LOGFILE, &LOG_SIZE, &LOG_COUNT, &LOG_FORMAT].into_iter().chain(&FORMAT_KEYS);
    NAME_KEYS.iter().chain(log).chain([&USE_SKYLOG, &SKYLOG_LOCATIONS]).chain(LOOP_KEYS)
}

/// The framework's own settings.
pub(crate) struct ProgramSettings {
    pub(crate) job_name: String,
    pub(crate) pidfile: Option<PathBuf>,
    pub(crate) loop_settings: LoopSettings,
    pub(crate) log: LogSettings,
    lifetime: Duration,
    databases: Vec<(&'static str, String)>,
}

/// The settings of the process, which a reload does not change (DESIGN.md, D5).
#[derive(PartialEq)]
pub(crate) struct ProcessSettings {
    job_name: String,
    pidfile: Option<PathBuf>,
    log: LogSettings,
}

impl ProgramSettings {
    /// Reads the settings. `keys` are the program's own keys, which may replace a common key to change its default.
    /// `databases` are the keys that contain connection strings.
    ///
    /// # Errors
    ///
    /// A usage error that names file, section and key if a value is invalid.
    pub(crate) fn read(config: &Config, keys: &[Key], databases: &[Key]) -> Result<ProgramSettings, Error> {
        let own = |common: Key| own(common, keys);
        let (pidfile, log) = (ProgramSettings::pidfile(config, keys)?, LogSettings::read(config, &own)?);
        if pidfile.is_some() && pidfile.as_deref() == log.path() {
            return Err(config.same_file(&own(PIDFILE), &own(LOGFILE)));
        }
        Ok(ProgramSettings {
            job_name: config.job_name()?,
            pidfile,
            loop_settings: LoopSettings {
                loop_delay: loop_delay(config, &own(LOOP_DELAY))?,
                exception_sleep: config.seconds(&own(EXCEPTION_SLEEP))?,
                exception_quiet: patterns(config, &own(EXCEPTION_QUIET))?,
                exception_grace: config.seconds(&own(EXCEPTION_GRACE))?,
                exception_reset: config.seconds(&own(EXCEPTION_RESET))?,
            },
            log,
            lifetime: config.seconds(&own(CONNECTION_LIFETIME))?,
            databases: databases.iter().map(|key| conninfo(config, key)).collect::<Result<_, _>>()?,
        })
    }

    /// Reads only the path of the pidfile.
    ///
    /// # Errors
    ///
    /// Fails as [`read`](ProgramSettings::read) does.
    pub(crate) fn pidfile(config: &Config, keys: &[Key]) -> Result<Option<PathBuf>, Error> {
        config.file(&own(PIDFILE, keys))
    }

    /// Returns the settings that a reload does not change.
    pub(crate) fn process_settings(&self) -> ProcessSettings {
        let ProgramSettings { job_name, pidfile, log, .. } = self;
        ProcessSettings { job_name: job_name.clone(), pidfile: pidfile.clone(), log: log.clone() }
    }

    /// Sets the connection strings and the lifetime of connections.
    pub(crate) fn apply(&self, databases: &mut Databases) {
        for (name, conninfo) in &self.databases {
            databases.set(name, conninfo);
        }
        databases.set_lifetime(self.lifetime);
    }
}

/// Returns the program's own variant of a common key, if it has one.
fn own(common: Key, keys: &[Key]) -> Key {
    keys.iter().find(|key| key.name() == common.name()).copied().unwrap_or(common)
}

/// Reads `loop_delay`, in seconds. A delay that is too long for a sleep is refused here and not in the loop.
fn loop_delay(config: &Config, key: &Key) -> Result<f64, Error> {
    let delay: f64 = config.parsed(key)?;
    if delay < 0.0 { Ok(delay) } else { config.seconds(key).map(|delay| delay.as_secs_f64()) }
}

fn patterns(config: &Config, key: &Key) -> Result<Vec<ErrorPattern>, Error> {
    let names = config.list(key)?;
    Ok(names.iter().filter(|name| !name.is_empty()).map(|name| ErrorPattern::from_name(name)).collect())
}

/// Reads a connection string and checks its syntax. Errors do not show the string.
fn conninfo(config: &Config, key: &Key) -> Result<(&'static str, String), Error> {
    let conninfo = config.get(key)?;
    Databases::check(&conninfo).map_err(|error| config.invalid_secret(key).caused_by(error))?;
    Ok((key.name(), conninfo))
}
