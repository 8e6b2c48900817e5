//! The own schema beside the extension: two databases of one server that take turns.
//!
//! The server does not wait for the disk, which would hide what is compared.

use std::time::{Duration, Instant};

use pgq::schema::Kind;
use postgres::Client;

use crate::BoxError;
use crate::server::Server;
use crate::work::median;

/// The two databases, each with a session that stays.
pub(crate) struct Versus {
    extension: Client,
    own: Client,
    rounds: u32,
    _server: Server,
}

/// What is done once in a sample, and the time that it took; prepares and verifies outside of that time.
pub(crate) type Sample<'a> = dyn Fn(&mut Client) -> Result<Duration, BoxError> + 'a;

/// What is compared.
pub(crate) struct Subject<'a> {
    pub(crate) name: String,
    /// How many times the extension's time the own schema may take.
    pub(crate) at_most: f64,
    /// How many calls, rows or events a sample has.
    pub(crate) units: u64,
    pub(crate) sample: Box<Sample<'a>>,
}

/// The times of one subject, in microseconds a unit.
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) at_most: f64,
    pub(crate) extension: Vec<f64>,
    pub(crate) own: Vec<f64>,
}

impl Figure {
    /// Returns how many times the extension's time the own schema takes.
    pub(crate) fn ratio(&self) -> f64 {
        median(&self.own) / median(&self.extension)
    }
}

impl Versus {
    /// Starts a server with the two databases.
    ///
    /// # Errors
    ///
    /// When the server does not offer the extension.
    pub(crate) fn prepare(rounds: u32) -> Result<Versus, BoxError> {
        let server = Server::builder().start()?;
        let side = |name: &str, kind: Kind| -> Result<Client, BoxError> {
            server.create_database(name);
            let mut client = server.client(name);
            pgq::schema::install_as(&mut client, Some(kind))?;
            Ok(client)
        };
        let (extension, own) = (side("extension", Kind::Extension)?, side("own", Kind::Own)?);
        Ok(Versus { extension, own, rounds, _server: server })
    }

    /// Runs statements on both.
    pub(crate) fn both(&mut self, statements: &str) -> Result<(), BoxError> {
        self.extension.batch_execute(statements)?;
        Ok(self.own.batch_execute(statements)?)
    }

    /// Lets the two take turns; who begins changes from round to round. A round before the first does not count.
    ///
    /// # Errors
    ///
    /// When one of them fails or does its work wrong.
    pub(crate) fn measure(&mut self, subject: &Subject<'_>) -> Result<Figure, BoxError> {
        let (mut extension, mut own) = (Vec::new(), Vec::new());
        self.own.batch_execute("checkpoint")?;
        for round in 0..=self.rounds {
            let mut sides = [(&mut self.extension, &mut extension), (&mut self.own, &mut own)];
            if round % 2 == 1 {
                sides.reverse();
            }
            for (client, samples) in sides {
                let time = (subject.sample)(client)
                    .map_err(|error| format!("{}: {}", subject.name, dbscript::describe(&*error)))?;
                if round > 0 {
                    samples.push(time.as_secs_f64() * 1e6 / subject.units as f64);
                }
            }
        }
        let figure = Figure { name: subject.name.clone(), at_most: subject.at_most, extension, own };
        eprintln!("{}: {:.2} times the extension's time", figure.name, figure.ratio());
        Ok(figure)
    }
}

/// Returns how long something takes.
pub(crate) fn timed<T, E: Into<BoxError>>(
    work: impl FnOnce() -> Result<T, E>,
) -> Result<(Duration, T), BoxError> {
    let started = Instant::now();
    let result = work().map_err(Into::into)?;
    Ok((started.elapsed(), result))
}
