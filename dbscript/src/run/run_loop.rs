//! The work loop: startup, rounds with sleeps between them, shutdown.

use std::time::{Duration, Instant};

use log::{Level, error, info, warn};

use crate::control::Control;
use crate::error::{BoxError, describe, is_final, is_interrupted};
use crate::panics::catch_panic;
use crate::progress::Progress;
use crate::run::failure_report::FailureReport;
use crate::run::loop_settings::LoopSettings;
use crate::run::script::{Context, Round, Script};
use crate::service_manager::{Notification, ServiceManager};

/// The longest sleep. A longer `loop_delay` is cut to this value, at the cost of one idle round a day.
const LONGEST_SLEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads the configuration again, and makes the script and the settings from it.
pub(crate) type Reload<S> = Box<dyn FnMut(&mut Context) -> Result<(S, LoopSettings), BoxError>>;

/// Runs a [`Script`] round after round until it is stopped.
///
/// Skytools: `BaseScript.run`.
pub struct RunLoop<S> {
    failures: FailureReport,
    progress: Progress,
    script: S,
    settings: LoopSettings,
    context: Context,
    reload: Option<Reload<S>>,
    manager: Option<Box<dyn ServiceManager>>,
}

impl<S: Script> RunLoop<S> {
    /// Creates a loop. `name` is the job's name in log lines.
    pub fn new(name: &str, script: S, settings: LoopSettings, context: Context) -> RunLoop<S> {
        RunLoop {
            failures: FailureReport::new(name, &settings),
            progress: Progress::default(),
            script,
            settings,
            context,
            reload: None,
            manager: None,
        }
    }

    /// Sets the action for a [reload](Control::reload). Defaults to none: reload requests are ignored.
    #[cfg(feature = "program")]
    pub(crate) fn on_reload(mut self, reload: Reload<S>) -> RunLoop<S> {
        self.reload = Some(reload);
        self
    }

    /// Sets the service manager that is notified of the loop's state.
    #[cfg(feature = "program")]
    pub(crate) fn managed_by(mut self, manager: impl ServiceManager + 'static) -> RunLoop<S> {
        self.manager = Some(Box::new(manager));
        self
    }

    pub(crate) fn report_to(mut self, progress: Progress) -> RunLoop<S> {
        self.progress = progress;
        self
    }

    /// Returns the handle by which other threads read the loop's totals.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Runs startup, calls `ready`, runs rounds until the loop is stopped, and runs shutdown.
    ///
    /// # Errors
    ///
    /// Fails if the startup fails, if a round fails by a usage or fatal error, and if any round fails with a
    /// `loop_delay` of 0 or below.
    pub fn run(&mut self, ready: impl FnOnce()) -> Result<(), BoxError> {
        let _entered = self.context.control.enter();
        let result = self.run_all(ready);
        self.context.databases.end();
        let control = self.context.control.clone();
        control.ended();
        if control.is_stopping() && result.is_ok() {
            // A program logs its end; the ends of its workers, which may be many, are for debugging.
            log::log!(if self.manager.is_some() { Level::Info } else { Level::Debug }, "stopped");
        }
        match result {
            Err(error) if !control.is_aborting() && !is_interrupted(&*error) => Err(error),
            _ => Ok(()),
        }
    }

    fn run_all(&mut self, ready: impl FnOnce()) -> Result<(), BoxError> {
        catch_panic(|| self.script.startup(&mut self.context))?;
        ready();
        self.notify(Notification::Ready);
        while !self.context.control.is_stopping() {
            self.reload_if_requested();
            self.context.databases.refresh();
            match self.round() {
                Ok(round) => {
                    // An idle round of a stopping loop has not shown that the failure is over.
                    if round == Round::Worked || !self.control().is_stopping() {
                        self.failures.worked(Instant::now());
                    }
                    self.keep_alive();
                    if !self.pause(round) {
                        break;
                    }
                }
                Err(_) if self.context.control.is_aborting() => break,
                Err(error) if is_interrupted(&*error) => break,
                Err(error) => self.failed(error)?,
            }
        }
        self.notify(Notification::Stopping);
        if self.context.control.is_aborting() {
            return Ok(());
        }
        catch_panic(|| self.script.shutdown(&mut self.context))
    }

    /// Runs one round and logs its statistics.
    fn round(&mut self) -> Result<Round, BoxError> {
        self.context.ending = self.settings.loop_delay <= 0.0;
        let result = catch_panic(|| self.script.work(&mut self.context));
        self.progress.count(result.is_ok(), &self.context.stats);
        if !self.context.stats.is_empty() {
            info!("{}", self.context.stats);
            self.context.status.get_or_insert_with(|| self.context.stats.to_string());
            self.context.stats.clear();
        }
        if let Some(status) = self.context.status.take() {
            self.notify(Notification::Status(&status));
        }
        result
    }

    /// Sleeps after an idle round. Returns true if there is a next round.
    fn pause(&mut self, round: Round) -> bool {
        if self.settings.loop_delay < 0.0 {
            return false;
        }
        if round == Round::Idle {
            if self.settings.loop_delay == 0.0 {
                return false;
            }
            self.context.databases.follow_channels();
            let delay = Duration::try_from_secs_f64(self.settings.loop_delay);
            self.idle(delay.unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP));
        }
        true
    }

    /// Sleeps, and resets the service manager's watchdog meanwhile.
    fn idle(&mut self, delay: Duration) {
        let end = Instant::now() + delay;
        let interval = self.manager.as_ref().and_then(|manager| manager.keep_alive_interval());
        let interval = interval.unwrap_or(LONGEST_SLEEP);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if self.control().idle(left.min(interval)) || left <= interval {
                return;
            }
            self.keep_alive();
        }
    }

    fn keep_alive(&mut self) {
        if self.manager.is_some() && self.script.is_alive() {
            self.notify(Notification::Alive);
        }
    }

    fn notify(&mut self, notification: Notification<'_>) {
        if let Some(manager) = &mut self.manager {
            manager.notify(notification);
        }
    }

    fn failed(&mut self, error: BoxError) -> Result<(), BoxError> {
        self.context.databases.reset();
        if is_final(&*error) || self.settings.loop_delay <= 0.0 {
            return Err(error);
        }
        self.failures.failed(&*error, Instant::now());
        self.notify(Notification::Status(&format!("failed: {}", describe(&*error))));
        self.control().sleep(self.settings.exception_sleep);
        Ok(())
    }

    fn reload_if_requested(&mut self) {
        if !self.context.control.take_reload() {
            return;
        }
        if self.reload.is_some() {
            self.notify(Notification::Reloading);
            self.reload();
            self.notify(Notification::Ready);
        }
    }

    fn reload(&mut self) {
        let Some(reload) = &mut self.reload else { return };
        let before = self.context.databases.snapshot();
        let result = catch_panic(|| {
            let (mut script, settings) = reload(&mut self.context)?;
            script.startup(&mut self.context)?;
            Ok((script, settings))
        });
        match result {
            Ok((script, settings)) => {
                let mut old = std::mem::replace(&mut self.script, script);
                if let Err(error) = catch_panic(|| old.shutdown(&mut self.context)) {
                    warn!("the old configuration did not shut down: {}", describe(&*error));
                }
                self.context.databases.replaced(&before);
                self.failures.follow(&settings);
                self.settings = settings;
                info!("Config reloaded");
            }
            Err(error) => {
                self.context.databases.restore(before);
                if !is_interrupted(&*error) {
                    error!("Config not reloaded, keeping the old one: {}", describe(&*error));
                }
            }
        }
    }

    fn control(&self) -> &Control {
        &self.context.control
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::databases::Databases;
    use crate::error::Error;

    /// Plays a list of outcomes, then stops the loop.
    struct Play(Vec<fn() -> Result<Round, BoxError>>, usize);

    impl Script for Play {
        fn work(&mut self, cx: &mut Context) -> Result<Round, BoxError> {
            let outcome = self.0[self.1];
            self.1 += 1;
            if self.1 == self.0.len() {
                cx.control().stop();
            }
            outcome()
        }
    }

    fn play(
        loop_delay: f64,
        outcomes: Vec<fn() -> Result<Round, BoxError>>,
    ) -> (usize, Result<(), BoxError>) {
        let control = Control::default();
        let context = Context::new(Databases::new("test", control.clone()), control);
        let settings =
            LoopSettings { loop_delay, exception_sleep: Duration::ZERO, ..LoopSettings::default() };
        let mut run = RunLoop::new("test", Play(outcomes, 0), settings, context);
        let result = run.run(|| ());
        (run.script.1, result)
    }

    #[test]
    fn a_failed_round_and_a_panic_are_followed_by_the_next_round() {
        let (rounds, result) = play(
            0.001,
            vec![|| Err("broken".into()), || panic!("oops"), || Ok(Round::Idle), || Ok(Round::Worked)],
        );
        assert_eq!(rounds, 4);
        assert!(result.is_ok());
    }

    #[test]
    fn an_idle_last_round_does_not_end_a_failure() {
        let is_failing_after = |last: fn() -> Result<Round, BoxError>| {
            let control = Control::default();
            let context = Context::new(Databases::new("test", control.clone()), control);
            let settings = LoopSettings { exception_sleep: Duration::ZERO, ..LoopSettings::default() };
            let play = Play(vec![|| Err("broken".into()), last], 0);
            let mut run = RunLoop::new("test", play, settings, context);
            run.run(|| ()).expect("ended");
            run.failures.is_failing()
        };
        assert!(is_failing_after(|| Ok(Round::Idle)));
        assert!(!is_failing_after(|| Ok(Round::Worked)));
    }

    #[test]
    fn a_usage_error_ends_the_loop() {
        let (rounds, result) =
            play(1.0, vec![|| Err(Error::usage("no such queue").into()), || Ok(Round::Idle)]);
        assert_eq!(rounds, 1);
        assert_eq!(result.expect_err("usage").to_string(), "no such queue");
    }

    #[test]
    fn without_delay_the_loop_drains_and_ends() {
        let (rounds, result) = play(0.0, vec![|| Ok(Round::Worked), || Ok(Round::Idle), || Ok(Round::Idle)]);
        assert_eq!(rounds, 2);
        assert!(result.is_ok());
        let (rounds, result) = play(0.0, vec![|| Err("broken".into()), || Ok(Round::Idle)]);
        assert_eq!(rounds, 1);
        assert!(result.is_err());
    }

    #[test]
    fn below_zero_there_is_one_round() {
        let (rounds, _) = play(-1.0, vec![|| Ok(Round::Worked), || Ok(Round::Worked)]);
        assert_eq!(rounds, 1);
    }
}
