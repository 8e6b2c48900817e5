//! What a program does once its configuration is understood.

use std::process::ExitCode;

use crate::error::BoxError;
use crate::run::script::{Context, Script};

/// What a program does once its configuration is understood.
pub struct Job(pub(crate) JobKind);

pub(crate) enum JobKind {
    /// Runs round after round, with pidfile and signals.
    Loop(Box<dyn Script>),
    /// Runs once and ends, beside a loop that may be running.
    Once(Once),
}

/// What runs once.
pub(crate) struct Once {
    pub(crate) work: OnceWork,
    /// Whether the work handles signals itself.
    pub(crate) handles_signals: bool,
}

type OnceWork = Box<dyn FnOnce(&mut Context) -> Result<ExitCode, BoxError>>;

impl Job {
    /// Makes a job that runs round after round, with pidfile and signals.
    pub fn looping(script: impl Script + 'static) -> Job {
        Job(JobKind::Loop(Box::new(script)))
    }

    /// Makes a job that runs once and ends, also beside a loop that is running.
    ///
    /// SIGINT and SIGTERM cancel the statement that it runs, so that it fails and its transaction is rolled back; the
    /// program then dies by that signal, as shells expect.
    pub fn once(work: impl FnOnce(&mut Context) -> Result<(), BoxError> + 'static) -> Job {
        Job::once_with_status(move |cx| work(cx).map(|()| ExitCode::SUCCESS))
    }

    /// Makes a job as [`Job::once`] does, which chooses the program's exit status when it has not failed.
    pub fn once_with_status(work: impl FnOnce(&mut Context) -> Result<ExitCode, BoxError> + 'static) -> Job {
        Job(JobKind::Once(Once { work: Box::new(work), handles_signals: false }))
    }

    /// Leaves signals to a job that runs once, which handles them itself.
    pub fn handling_signals(mut self) -> Job {
        if let JobKind::Once(once) = &mut self.0 {
            once.handles_signals = true;
        }
        self
    }
}
