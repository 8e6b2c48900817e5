//! A whole program: command line, config file, log, pidfile, daemon, signals, loop.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Command;
use log::{error, info, warn};

use crate::args::{self, Extra, Switches};
use crate::daemon::{self, Readiness, Side};
use crate::logging::{self, LogFile, LogSettings};
use crate::pidfile::{self, Pidfile, Sent};
use crate::{
    BoxError, Config, Context, Control, Databases, Error, Key, LoopSettings, RunLoop, Script, describe,
    ini_template, signals,
};

const JOB_NAME: Key =
    Key::optional("job_name", "Name of the job in logs; must be unique. Defaults to the file's base name.");
const PIDFILE: Key =
    Key::optional("pidfile", "File for the process id; needed by -d, -r, -s and -k. No default.");
const LOGFILE: Key = Key::optional("logfile", "File to log to, besides standard error. No default.");
const LOG_SIZE: Key = Key::with_default(
    "log_size",
    "10485760",
    "Size in bytes at which the log file is rotated. Defaults to 10485760.",
);
const LOG_COUNT: Key = Key::with_default("log_count", "3", "Number of old log files to keep. Defaults to 3.");
const LOOP_DELAY: Key = Key::with_default(
    "loop_delay",
    "1.0",
    "Seconds to sleep after a round that found nothing; 0: exit instead; below 0: one round only. Defaults to 1.0.",
);
const CONNECTION_LIFETIME: Key = Key::with_default(
    "connection_lifetime",
    "1200",
    "Seconds after which database connections are closed and reopened. Defaults to 1200.",
);
const EXCEPTION_SLEEP: Key =
    Key::with_default("exception_sleep", "20", "Seconds to wait after a failed round. Defaults to 20.");

/// The keys of every program, in the order of the sample file.
const COMMON_KEYS: [Key; 8] =
    [JOB_NAME, PIDFILE, LOGFILE, LOG_SIZE, LOG_COUNT, LOOP_DELAY, CONNECTION_LIFETIME, EXCEPTION_SLEEP];

/// What a program does once its configuration is understood.
pub struct Job(Kind);

enum Kind {
    /// Runs round after round, with pidfile and signals.
    Loop(Box<dyn Script>),
    /// Runs once and ends, beside a loop that may be running.
    Once(OnceWork),
}

type OnceWork = Box<dyn FnOnce(&mut Context) -> Result<(), BoxError>>;

impl Job {
    /// Makes a job that runs round after round, with pidfile and signals.
    pub fn looping(script: impl Script + 'static) -> Job {
        Job(Kind::Loop(Box::new(script)))
    }

    /// Makes a job that runs once and ends, also beside a loop that is running.
    pub fn once(work: impl FnOnce(&mut Context) -> Result<(), BoxError> + 'static) -> Job {
        Job(Kind::Once(Box::new(work)))
    }
}

/// A program on top of the framework, described before it runs.
///
/// Skytools: `DBScript`'s constructor and `start`.
pub struct Program {
    sections: Vec<&'static str>,
    about: &'static str,
    help_after: &'static str,
    version: &'static str,
    keys: Vec<Key>,
    databases: Vec<Key>,
    switches: Vec<Extra>,
    arguments: Option<&'static str>,
}

impl Program {
    /// Describes a program; `service` is its name and its section in the config file.
    pub fn new(service: &'static str) -> Program {
        Program {
            sections: vec![service],
            about: "",
            help_after: "",
            version: env!("CARGO_PKG_VERSION"),
            keys: Vec::new(),
            databases: Vec::new(),
            switches: Vec::new(),
            arguments: None,
        }
    }

    /// Accepts another name for the section.
    pub fn or_section(mut self, section: &'static str) -> Program {
        self.sections.push(section);
        self
    }

    /// Sets the sentence that `--help` starts with.
    pub fn about(mut self, about: &'static str) -> Program {
        self.about = about;
        self
    }

    /// Sets the text that `--help` ends with.
    pub fn help_after(mut self, text: &'static str) -> Program {
        self.help_after = text;
        self
    }

    /// Sets the version that `--version` prints. Defaults to this crate's.
    pub fn version(mut self, version: &'static str) -> Program {
        self.version = version;
        self
    }

    /// Adds a database: a required key that holds its connection string, as [`Context::database`] wants it.
    pub fn database(mut self, name: &'static str, doc: &'static str) -> Program {
        self.databases.push(Key::required(name, doc));
        self
    }

    /// Adds keys of the config file. One that the framework has already gets another default.
    pub fn keys(mut self, keys: &[Key]) -> Program {
        self.keys.extend_from_slice(keys);
        self
    }

    /// Adds a switch `--name`.
    pub fn switch(mut self, name: &'static str, doc: &'static str) -> Program {
        self.switches.push(Extra { name, doc });
        self
    }

    /// Accepts arguments after the config file; `usage` stands for them in `--help`.
    pub fn arguments(mut self, usage: &'static str) -> Program {
        self.arguments = Some(usage);
        self
    }

    /// Runs the program with the process's arguments and returns its exit status: 0 done, 1 failed, 2 wrong
    /// usage.
    ///
    /// `build` makes the job from the configuration, at start and again at every reload.
    pub fn main(self, build: impl Fn(&Config, &Switches) -> Result<Job, BoxError> + 'static) -> ExitCode {
        let command = Command::new(self.sections[0])
            .version(self.version)
            .about(self.about)
            .after_help(self.help_after);
        let command = args::complete(command, &self.switches, self.arguments);
        let switches = match args::parse(command, std::env::args_os()) {
            Ok(switches) => switches,
            Err(status) => return ExitCode::from(status),
        };
        let name = self.sections[0];
        match Run::new(self, switches, Box::new(build)).and_then(Run::run) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain(name, &*error);
                ExitCode::from(if is_usage(&*error) { 2 } else { 1 })
            }
        }
    }

    /// Returns every key that the program reads, each once.
    fn all_keys(&self) -> Vec<Key> {
        let mut keys = vec![JOB_NAME];
        for key in self.databases.iter().chain(&self.keys).chain(&COMMON_KEYS) {
            if !keys.iter().any(|known| known.name == key.name) {
                keys.push(*key);
            }
        }
        keys
    }

    fn key(&self, common: Key) -> Key {
        self.keys.iter().find(|key| key.name == common.name).copied().unwrap_or(common)
    }
}

type Build = Box<dyn Fn(&Config, &Switches) -> Result<Job, BoxError>>;

/// One run of a program.
struct Run {
    program: Program,
    switches: Switches,
    set: Vec<(String, String)>,
    build: Build,
}

impl Run {
    fn new(program: Program, switches: Switches, build: Build) -> Result<Run, BoxError> {
        let set = switches.set()?;
        Ok(Run { program, switches, set, build })
    }

    fn run(self) -> Result<(), BoxError> {
        if self.switches.sample() {
            return self.print_sample();
        }
        let config = self.load()?;
        if let Some(signal) = self.switches.signal() {
            return self.send(&config, signal);
        }
        match (self.build)(&config, &self.switches)?.0 {
            Kind::Once(work) => self.run_once(&config, work),
            Kind::Loop(script) => self.run_loop(&config, script),
        }
    }

    fn load(&self) -> Result<Config, Error> {
        let file = self.switches.config_file().ok_or_else(|| {
            Error::usage(format!(
                "no config file given; `{} --ini` prints a sample, --help lists the switches",
                self.program.sections[0]
            ))
        })?;
        Config::load(file, &self.program.sections, &self.set)
    }

    #[allow(clippy::print_stdout, reason = "the sample file is the program's output")]
    fn print_sample(&self) -> Result<(), BoxError> {
        print!("{}", ini_template::render(self.program.sections[0], &self.program.all_keys(), &self.set));
        Ok(())
    }

    fn send(&self, config: &Config, signal: nix::sys::signal::Signal) -> Result<(), BoxError> {
        logging::init(LogSettings { level: self.switches.level(), file: None })?;
        let Some(path) = config.file(&PIDFILE)? else {
            warn!("no pidfile in the config file, nothing to do");
            return Ok(());
        };
        match pidfile::send(&path, signal)? {
            Sent::ToProcess => {}
            Sent::NoFile => warn!("no pidfile `{}`, the process is not running", path.display()),
            Sent::Stale => warn!("pidfile `{}` is stale, the process is not running", path.display()),
        }
        Ok(())
    }

    fn run_once(&self, config: &Config, work: OnceWork) -> Result<(), BoxError> {
        logging::init(LogSettings { level: self.switches.level(), file: None })?;
        let mut context = self.context(config, Control::default())?;
        work(&mut context)
    }

    fn run_loop(self, config: &Config, script: Box<dyn Script>) -> Result<(), BoxError> {
        let mut pidfile = config.file(&PIDFILE)?.map(|path| Pidfile::acquire(&path)).transpose()?;
        let mut readiness = None;
        if self.switches.daemon() {
            let Some(pidfile) = &pidfile else {
                return Err(Error::usage("-d needs `pidfile` in the config file").into());
            };
            match daemon::daemonize()? {
                Side::Child(child) => readiness = Some(child),
                Side::Parent(Ok(())) => return Ok(()),
                Side::Parent(Err(reason)) => return Err(not_started(&reason, pidfile).into()),
            }
        }
        let result = self.run_here(config, script, pidfile.as_mut(), &mut readiness);
        if let (Err(error), Some(readiness)) = (&result, readiness) {
            readiness.failed(&describe(&**error));
        }
        result
    }

    /// Runs the loop in this process, and tells `readiness` when it is up.
    fn run_here(
        self,
        config: &Config,
        script: Box<dyn Script>,
        pidfile: Option<&mut Pidfile>,
        readiness: &mut Option<Readiness>,
    ) -> Result<(), BoxError> {
        let control = Control::default();
        self.prepare(config, pidfile, &control)?;
        let settings = self.loop_settings(config)?;
        let context = self.context(config, control)?;
        RunLoop::new(&config.job_name()?, script, settings, context).on_reload(self.reloader()).run(|| {
            if let Some(readiness) = readiness.take() {
                readiness.up();
            }
        })
    }

    /// Sets up what belongs to the process that loops: log, pidfile, signals.
    fn prepare(
        &self,
        config: &Config,
        pidfile: Option<&mut Pidfile>,
        control: &Control,
    ) -> Result<(), BoxError> {
        logging::init(self.log_settings(config)?)?;
        self.warn_of_unknown_keys(config);
        let mut path: Option<PathBuf> = None;
        if let Some(pidfile) = pidfile {
            if let Some(pid) = pidfile.stale() {
                info!("ignoring the stale pidfile `{}` of process {pid}", pidfile.path().display());
            }
            pidfile.write()?;
            path = Some(pidfile.path().to_owned());
        }
        signals::watch(control.clone(), move || remove(path.as_deref()))?;
        Ok(())
    }

    fn warn_of_unknown_keys(&self, config: &Config) {
        for (key, nearest) in config.unknown(&self.program.all_keys()) {
            match nearest {
                Some(nearest) => warn!("key `{key}` is not known; do you mean `{nearest}`?"),
                None => warn!("key `{key}` is not known"),
            }
        }
    }

    fn reloader(self) -> crate::run_loop::Reload<Box<dyn Script>> {
        Box::new(move |context| {
            let config = self.load()?;
            let Job(Kind::Loop(script)) = (self.build)(&config, &self.switches)? else {
                return Err(Error::usage("the config file no longer describes a loop").into());
            };
            let settings = self.loop_settings(&config)?;
            self.set_databases(&config, context.databases())?;
            Ok((script, settings))
        })
    }

    fn context(&self, config: &Config, control: Control) -> Result<Context, Error> {
        let mut databases = Databases::new(&config.job_name()?, control.clone());
        self.set_databases(config, &mut databases)?;
        Ok(Context::new(databases, control))
    }

    fn set_databases(&self, config: &Config, databases: &mut Databases) -> Result<(), Error> {
        let lifetime = config.seconds(&self.program.key(CONNECTION_LIFETIME))?;
        let strings: Result<Vec<_>, Error> =
            self.program.databases.iter().map(|key| Ok((key.name(), config.get(key)?))).collect();
        for (name, conninfo) in strings? {
            databases.set(name, &conninfo);
        }
        databases.set_lifetime(lifetime);
        Ok(())
    }

    fn loop_settings(&self, config: &Config) -> Result<LoopSettings, Error> {
        let key = self.program.key(LOOP_DELAY);
        let loop_delay: f64 = config.parsed(&key)?;
        // What cannot be slept is caught here, not in the loop.
        if loop_delay > 0.0 || !loop_delay.is_finite() {
            config.seconds(&key)?;
        }
        let exception_sleep = config.seconds(&self.program.key(EXCEPTION_SLEEP))?;
        Ok(LoopSettings { loop_delay, exception_sleep })
    }

    fn log_settings(&self, config: &Config) -> Result<LogSettings, Error> {
        let size = config.parsed(&self.program.key(LOG_SIZE))?;
        let count = config.parsed(&self.program.key(LOG_COUNT))?;
        let file = config.file(&LOGFILE)?.map(|path| LogFile { path, size, count });
        Ok(LogSettings { level: self.switches.level(), file })
    }
}

fn not_started(reason: &str, pidfile: &Pidfile) -> Error {
    Error::failed(format!("not started: {reason} (pidfile `{}`)", pidfile.path().display()))
}

fn is_usage(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<Error>().is_some_and(Error::is_usage)
}

/// Tells why the program ends, on the log where there is one.
#[allow(clippy::print_stderr, reason = "before the log is set up there is only standard error")]
fn complain(name: &str, error: &(dyn std::error::Error + 'static)) {
    if log::max_level() == log::LevelFilter::Off {
        eprintln!("{name}: {}", describe(error));
    } else {
        error!("{}", describe(error));
    }
}

fn remove(pidfile: Option<&Path>) {
    if let Some(path) = pidfile {
        // The process is about to end; a file that stays is stale, which the next start sees.
        let _ = std::fs::remove_file(path);
    }
}
