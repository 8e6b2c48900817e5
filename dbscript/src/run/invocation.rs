//! One run of a program, from the parsed command line to the exit status.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use log::{info, warn};
use nix::sys::signal::Signal;

use crate::config::interpolate::Syntax;
use crate::config::{Config, ini_template};
use crate::control::Control;
use crate::database::databases::Databases;
use crate::error::{BoxError, Error, describe, is_usage};
use crate::logging::report::report_error;
use crate::logging::{self, LogSettings};
use crate::panics::catch_panic;
use crate::process::daemon::{self, Readiness, Side};
use crate::process::die_by_signal::die_by_signal;
use crate::process::pidfile::{self, Pidfile, Sent};
use crate::process::signals;
use crate::process::systemd::Systemd;
use crate::run::args::Switches;
use crate::run::description::Description;
use crate::run::job::{Job, JobKind, Once};
use crate::run::run_loop::RunLoop;
use crate::run::script::{Context, Script};
use crate::run::settings::{ProcessSettings, ProgramSettings};
use crate::run::source::Source;
use crate::run::{completions, man};

/// Builds the job from the configuration.
pub(crate) type Build = Box<dyn Fn(&Config, &Switches) -> Result<Job, BoxError>>;

/// One run of a program.
pub(crate) struct Run {
    description: Description,
    switches: Switches,
    set: Vec<(String, String)>,
    build: Build,
}

impl Run {
    pub(crate) fn new(description: Description, switches: Switches, build: Build) -> Result<Run, BoxError> {
        let set = switches.set()?;
        Ok(Run { description, switches, set, build })
    }

    pub(crate) fn run(self) -> Result<ExitCode, BoxError> {
        let done = |()| ExitCode::SUCCESS;
        if let Some(text) = self.text_to_print()? {
            return print(&text).map(done);
        }
        self.switches.check_command()?;
        let config = self.load()?;
        if let Some(signal) = self.switches.signal() {
            return self.control(&config, signal);
        }
        let settings = self.settings(&config)?;
        if self.switches.daemon() {
            return self.run_daemon(&config, &settings).map(done);
        }
        match (self.build)(&config, &self.switches)?.0 {
            JobKind::Once(once) => self.run_once(&config, &settings, once),
            JobKind::Loop(script) => {
                let mut pidfile = settings.pidfile.as_deref().map(Pidfile::acquire).transpose()?;
                self.run_loop(&config, &settings, script, pidfile.as_mut(), || ()).map(done)
            }
        }
    }

    /// Returns the text to print instead of running, as a switch requests.
    fn text_to_print(&self) -> Result<Option<Vec<u8>>, BoxError> {
        let mut text = Vec::new();
        if self.switches.sample() {
            let (name, keys) = (self.description.name(), self.description.all_keys());
            text = ini_template::render(name, &keys, &self.sample_values())?.into_bytes();
        } else if self.switches.manual() {
            man::write_page(&self.description, &mut text)?;
        } else if let Some(shell) = self.switches.completions() {
            completions::write(&self.description, shell, &mut text)?;
        } else {
            return Ok(None);
        }
        Ok(Some(text))
    }

    /// Returns the values that the sample file contains besides defaults: the connection string in place of a config
    /// file, and the pairs of `--set`.
    fn sample_values(&self) -> Vec<(String, String)> {
        let key = self.description.file_replacement;
        let database = key.and_then(|key| Some((key, self.switches.value(key)?)));
        let database = database.map(|(key, conninfo)| (key.to_owned(), Syntax::Percent.quote(conninfo)));
        database.into_iter().chain(self.set.iter().cloned()).collect()
    }

    fn load(&self) -> Result<Config, Error> {
        let variable = |name: &str| std::env::var(name).ok();
        let source = Source::select(&self.description, &self.switches, variable)?;
        let config = source.load(&self.description.sections, &self.set)?;
        Ok(config.declare(self.description.all_keys()))
    }

    fn settings(&self, config: &Config) -> Result<ProgramSettings, Error> {
        ProgramSettings::read(config, &self.description.keys, &self.description.databases(config)?)
    }

    /// Sends a signal to the running process. A reload requires a valid config file, stopping does not.
    fn control(&self, config: &Config, signal: Signal) -> Result<ExitCode, BoxError> {
        if signal == Signal::SIGHUP {
            self.settings(config)?;
        }
        let pidfile = ProgramSettings::pidfile(config, &self.description.keys)?;
        logging::init_console(&LogSettings::default(), self.switches.level())?;
        let Some(path) = pidfile else {
            warn!("no pidfile in the config file, nothing to do");
            return Ok(ExitCode::SUCCESS);
        };
        match pidfile::send(&path, signal)? {
            Sent::ToProcess => {}
            Sent::NoFile => warn!("{}", no_pidfile(&path)),
            Sent::Stale => warn!("pidfile `{}` is stale, the process is not running", path.display()),
            Sent::Refused(why) => {
                warn!("no signal is sent: pidfile `{}` is not trusted: {why}", path.display());
                return Ok(ExitCode::FAILURE);
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn run_once(
        &self,
        config: &Config,
        settings: &ProgramSettings,
        once: Once,
    ) -> Result<ExitCode, BoxError> {
        logging::init_console(&settings.log, self.switches.level())?;
        self.warn_of_unknown_keys(config, &mut BTreeSet::new());
        let control = Control::default();
        let mut context = self.context(settings, control.clone());
        if once.handles_signals {
            return (once.work)(&mut context);
        }
        let cancelled = signals::watch_once(control.clone())?;
        let _entered = control.enter();
        let result = (once.work)(&mut context);
        control.ended();
        drop(context);
        if let (Err(error), Some(signal)) = (&result, cancelled.signal()) {
            report_error(&format!("cancelled by {signal}: {}", describe(&**error)));
            die_by_signal(signal as i32);
        }
        result
    }

    /// Forks before it builds the job, whose threads and connections must belong to the child.
    fn run_daemon(self, config: &Config, settings: &ProgramSettings) -> Result<(), BoxError> {
        let Some(path) = &settings.pidfile else {
            return Err(Error::usage("-d requires `pidfile` in the config file").into());
        };
        let mut pidfile = Pidfile::acquire(path)?;
        let readiness = match daemon::daemonize()? {
            Side::Child(readiness) => readiness,
            Side::Parent(up) => return Ok(up?),
        };
        let mut readiness = Some(readiness);
        let result = catch_panic(|| self.run_child(config, settings, &mut pidfile, &mut readiness));
        // The parent exits with the report, so the pidfile is removed first.
        drop(pidfile);
        if let (Err(error), Some(readiness)) = (&result, readiness) {
            readiness.failed(is_usage(&**error), &describe(&**error));
        }
        result
    }

    fn run_child(
        self,
        config: &Config,
        settings: &ProgramSettings,
        pidfile: &mut Pidfile,
        readiness: &mut Option<Readiness>,
    ) -> Result<(), BoxError> {
        let Job(JobKind::Loop(script)) = (self.build)(config, &self.switches)? else {
            return Err(Error::usage("-d cannot be used with a job that runs once").into());
        };
        self.run_loop(config, settings, script, Some(pidfile), || {
            if let Some(readiness) = readiness.take() {
                readiness.up();
            }
        })
    }

    /// Runs the loop in this process, and calls `ready` when the loop is up.
    fn run_loop(
        self,
        config: &Config,
        settings: &ProgramSettings,
        script: Box<dyn Script>,
        pidfile: Option<&mut Pidfile>,
        ready: impl FnOnce(),
    ) -> Result<(), BoxError> {
        let control = Control::default();
        logging::init(&settings.log, self.switches.level(), self.switches.daemon())?;
        let mut warned = BTreeSet::new();
        self.warn_of_unknown_keys(config, &mut warned);
        for kind in settings.loop_settings.exception_quiet.iter().filter(|kind| !kind.is_known()) {
            warn!("exception_quiet: unknown kind of error `{kind}` ({})", config.place());
        }
        take_over(pidfile, &control)?;
        let context = self.context(settings, control);
        let run = RunLoop::new(&settings.job_name, script, settings.loop_settings.clone(), context);
        run.on_reload(self.reloader(settings.process_settings(), warned))
            .managed_by(Systemd::new())
            .run(ready)
    }

    fn context(&self, settings: &ProgramSettings, control: Control) -> Context {
        let mut databases = Databases::new(&settings.job_name, control.clone());
        settings.apply(&mut databases);
        if self.description.is_pinned {
            databases.pin_search_path();
        }
        Context::new(databases, control)
    }

    /// Logs a warning for each unknown key that `warned` does not contain yet.
    fn warn_of_unknown_keys(&self, config: &Config, warned: &mut BTreeSet<String>) {
        let place = config.place();
        for (key, suggestion) in config.unknown() {
            if !warned.insert(key.clone()) {
                continue;
            }
            match suggestion {
                Some(suggestion) => warn!("unknown key `{key}`; did you mean `{suggestion}`? ({place})"),
                None => warn!("unknown key `{key}` ({place})"),
            }
        }
    }

    /// Makes the function that reloads the configuration. `unchanged` are the settings that a reload does not change,
    /// `warned` the unknown keys that were logged.
    fn reloader(
        self,
        unchanged: ProcessSettings,
        mut warned: BTreeSet<String>,
    ) -> crate::run::run_loop::Reload<Box<dyn Script>> {
        Box::new(move |context| {
            let config = self.load()?;
            let settings = self.settings(&config)?;
            let Job(JobKind::Loop(script)) = (self.build)(&config, &self.switches)? else {
                return Err(Error::usage("the config file no longer describes a loop").into());
            };
            if settings.process_settings() != unchanged {
                warn!(
                    "changes of job_name, pidfile, logfile and the log settings take effect at the next start"
                );
            }
            self.warn_of_unknown_keys(&config, &mut warned);
            settings.apply(context.databases());
            Ok((script, settings.loop_settings))
        })
    }
}

/// Makes the warning of a missing pidfile. A relative path depends on the folder in which the program is started.
fn no_pidfile(path: &Path) -> String {
    let or_elsewhere = if path.is_relative() { ", or was started in another folder" } else { "" };
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    format!("no pidfile `{}`: the process is not running{or_elsewhere}", path.display())
}

/// Prints to standard output; a closed pipe is not a failure.
fn print(text: &[u8]) -> Result<(), BoxError> {
    let mut out = std::io::stdout();
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::failed("cannot print").caused_by(error).into())
        }
        _ => Ok(()),
    }
}

/// Writes the pidfile of this process, and starts the signal handling of the loop.
fn take_over(pidfile: Option<&mut Pidfile>, control: &Control) -> Result<(), Error> {
    let remover = pidfile.as_ref().map(|pidfile| pidfile.remover());
    signals::watch(control.clone(), move || remover.iter().for_each(|remove| remove()))?;
    if let Some(pidfile) = pidfile {
        if let Some(pid) = pidfile.stale() {
            info!("ignoring the stale pidfile `{}` of process {pid}", pidfile.path().display());
        }
        pidfile.write()?;
    }
    Ok(())
}
