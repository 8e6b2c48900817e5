//! Comparison of the own schema with the extension, in two databases of one server.
//!
//! The server runs without fsync, since waiting for the disk would hide the differences.

use std::time::{Duration, Instant};

use pgq::schema::Kind;
use postgres::Client;

use crate::BoxError;
use crate::server::Server;
use crate::work::median;

const EXTENSION: &str = "extension";
const OWN: &str = "own";

/// The two databases, each with one session.
pub(crate) struct Comparison {
    extension: Client,
    own: Client,
    rounds: u32,
    server: Server,
}

/// Takes one sample, and returns its time, which excludes preparation and verification.
pub(crate) type Sample<'a> = dyn Fn(&mut Client) -> Result<Duration, BoxError> + 'a;

/// A compared operation.
pub(crate) struct Operation<'a> {
    pub(crate) name: String,
    /// The largest allowed ratio of the own schema's time to the extension's time.
    pub(crate) at_most: f64,
    /// The number of calls, rows or events in a sample.
    pub(crate) units: u64,
    pub(crate) sample: Box<Sample<'a>>,
}

/// The times of one operation, in microseconds per unit.
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) at_most: f64,
    pub(crate) extension: Vec<f64>,
    pub(crate) own: Vec<f64>,
}

impl Figure {
    /// Returns the ratio of the own schema's median time to the extension's.
    pub(crate) fn ratio(&self) -> f64 {
        median(&self.own) / median(&self.extension)
    }

    /// Returns whether the ratio is above the limit.
    pub(crate) fn is_missed(&self) -> bool {
        self.ratio() > self.at_most
    }
}

impl Comparison {
    /// Starts a server with the two databases.
    ///
    /// # Errors
    ///
    /// When the server does not have the extension.
    pub(crate) fn prepare(rounds: u32) -> Result<Comparison, BoxError> {
        let server = Server::builder().start()?;
        let side = |name: &str, kind: Kind| -> Result<Client, BoxError> {
            server.create_database(name);
            let mut client = server.client(name);
            pgq::schema::install_as(&mut client, Some(kind))?;
            Ok(client)
        };
        let (extension, own) = (side(EXTENSION, Kind::Extension)?, side(OWN, Kind::Own)?);
        Ok(Comparison { extension, own, rounds, server })
    }

    /// Runs statements in both databases.
    pub(crate) fn both(&mut self, statements: &str) -> Result<(), BoxError> {
        self.extension.batch_execute(statements)?;
        Ok(self.own.batch_execute(statements)?)
    }

    /// Runs something in both databases; returns the results of the extension and of the own schema.
    pub(crate) fn each<T>(
        &mut self,
        mut run: impl FnMut(&mut Client) -> Result<T, BoxError>,
    ) -> Result<[T; 2], BoxError> {
        Ok([run(&mut self.extension)?, run(&mut self.own)?])
    }

    /// Runs something in another session of each database.
    pub(crate) fn others<T>(
        &self,
        mut run: impl FnMut(Client) -> Result<T, BoxError>,
    ) -> Result<[T; 2], BoxError> {
        Ok([run(self.server.client(EXTENSION))?, run(self.server.client(OWN))?])
    }

    /// Measures an operation in both databases, which take turns and alternate in starting a round. The first round is
    /// a warm-up and is not counted.
    ///
    /// # Errors
    ///
    /// When an operation fails or has a wrong result.
    pub(crate) fn measure(&mut self, operation: &Operation<'_>) -> Result<Figure, BoxError> {
        let (mut extension, mut own) = (Vec::new(), Vec::new());
        self.own.batch_execute("checkpoint")?;
        for round in 0..=self.rounds {
            let mut sides = [(&mut self.extension, &mut extension), (&mut self.own, &mut own)];
            if round % 2 == 1 {
                sides.reverse();
            }
            for (client, samples) in sides {
                let time = (operation.sample)(client)
                    .map_err(|error| format!("{}: {}", operation.name, dbscript::describe(&*error)))?;
                if round > 0 {
                    samples.push(time.as_secs_f64() * 1e6 / operation.units as f64);
                }
            }
        }
        let figure = Figure { name: operation.name.clone(), at_most: operation.at_most, extension, own };
        eprintln!("{}: {:.2} times the extension's time", figure.name, figure.ratio());
        Ok(figure)
    }
}

/// Returns the duration and the result of `work`.
pub(crate) fn timed<T, E: Into<BoxError>>(
    work: impl FnOnce() -> Result<T, E>,
) -> Result<(Duration, T), BoxError> {
    let started = Instant::now();
    let result = work().map_err(Into::into)?;
    Ok((started.elapsed(), result))
}
