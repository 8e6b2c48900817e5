//! The tasks of an adapter.

use std::process::ExitCode;

use crate::arguments::{Settings, Task};
use crate::consumption::Consumption;
use crate::production::Production;
use crate::{BoxError, lines};

/// A queue's adapter.
pub trait Adapter: Sized {
    /// Makes the adapter of a database.
    ///
    /// # Errors
    ///
    /// When a setting is invalid.
    fn new(settings: &Settings) -> Result<Self, BoxError>;

    /// Installs the queue in an empty database, with consumers from 0 to `consumers - 1`.
    ///
    /// # Errors
    ///
    /// When the server fails.
    fn setup(&self, consumers: u32) -> Result<Descriptor, BoxError>;

    /// Runs the ticker or maintenance that the queue needs, until the process is killed.
    ///
    /// # Errors
    ///
    /// When the server fails, and when the queue needs nothing.
    fn serve(&self) -> Result<(), BoxError> {
        Err("nothing runs beside producers and consumers".into())
    }

    /// Inserts events.
    ///
    /// # Errors
    ///
    /// When the server fails.
    fn produce(&self, production: &Production) -> Result<(), BoxError>;

    /// Handles events.
    ///
    /// # Errors
    ///
    /// When the server fails.
    fn consume(&self, consumption: &Consumption) -> Result<(), BoxError>;
}

/// The versions of a queue.
pub struct Descriptor {
    /// The name of the system.
    pub system: String,
    /// The version of the client.
    pub version: String,
    /// The version of the schema in the database.
    pub schema_version: String,
}

/// Runs the task that the arguments name.
pub fn main<A: Adapter>() -> ExitCode {
    env_logger::Builder::new().filter_level(log::LevelFilter::Warn).parse_default_env().init();
    match run::<A>() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                log::error!("{error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn run<A: Adapter>() -> Result<(), BoxError> {
    let (settings, task) = crate::arguments::parse(std::env::args().skip(1))?;
    let adapter = A::new(&settings)?;
    match task {
        Task::Setup { consumers } => lines::descriptor(&adapter.setup(consumers)?),
        Task::Serve => adapter.serve(),
        Task::Produce(production) => {
            adapter.produce(&production)?;
            lines::produced(production.finish()?)
        }
        Task::Consume(consumption) => {
            adapter.consume(&consumption)?;
            consumption.handling.finish()
        }
    }
}
