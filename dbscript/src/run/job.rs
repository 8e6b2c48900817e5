//! Jobs: the work of a program, as its configuration describes it.

use std::process::ExitCode;

use crate::error::BoxError;
use crate::run::script::{Context, Script};

/// The work of a program, as its configuration describes it: a loop, or a task that runs once.
pub struct Job(pub(crate) JobKind);

pub(crate) enum JobKind {
    /// Runs round after round, with pidfile and signals.
    Loop(Box<dyn Script>),
    /// Runs once and ends; a loop of the same program may be running meanwhile.
    Once(Once),
}

/// A task that runs once.
pub(crate) struct Once {
    pub(crate) work: OnceWork,
    /// True if the work handles signals itself.
    pub(crate) handles_signals: bool,
}

type OnceWork = Box<dyn FnOnce(&mut Context) -> Result<ExitCode, BoxError>>;

impl Job {
    /// Creates a job that runs a script round after round, with pidfile and signal handling.
    pub fn looping(script: impl Script + 'static) -> Job {
        Job(JobKind::Loop(Box::new(script)))
    }

    /// Creates a job that runs once and ends. A loop of the same program may be running meanwhile.
    ///
    /// SIGINT and SIGTERM cancel the running statement, so that the job fails and its transaction is rolled back. The
    /// program then dies by that signal, as shells expect.
    pub fn once(work: impl FnOnce(&mut Context) -> Result<(), BoxError> + 'static) -> Job {
        Job::once_with_status(move |cx| work(cx).map(|()| ExitCode::SUCCESS))
    }

    /// Creates a job as [`Job::once`] does, whose work returns the program's exit status if it succeeds.
    pub fn once_with_status(work: impl FnOnce(&mut Context) -> Result<ExitCode, BoxError> + 'static) -> Job {
        Job(JobKind::Once(Once { work: Box::new(work), handles_signals: false }))
    }

    /// Leaves signal handling to the work of a job that runs once. Has no effect on a loop.
    pub fn handling_signals(mut self) -> Job {
        if let JobKind::Once(once) = &mut self.0 {
            once.handles_signals = true;
        }
        self
    }
}
