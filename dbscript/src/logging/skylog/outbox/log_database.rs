//! The log database as a receiver.

use std::time::Instant;

use postgres::Client;
use postgres::types::{ToSql, Type};

use super::outage_report::OutageReport;
use super::{DeliveryResult, Held, Message, Receiver};
use crate::database::connect;
use crate::database::conninfo::{self, Target};
use crate::error::state_class::StateClass;
use crate::error::{Error, ErrorKind, describe, is_connection_error, sqlstate};
use crate::logging::skylog::handlers::tally::SharedTally;

const ADD: &str = "select * from log.add($1, $2, $3)";

/// Calls `log.add` over a connection that is opened when needed.
///
/// A message whose connection breaks is sent again over a new connection: delivery is at least once.
pub(crate) struct LogDatabase {
    conninfo: String,
    job_name: String,
    tally: SharedTally,
    client: Option<Client>,
    outages: OutageReport,
}

/// A line of the log in the database.
pub(crate) struct Line {
    pub(crate) level: &'static str,
    pub(crate) text: String,
}

impl Message for Line {
    fn size(&self) -> usize {
        self.text.len()
    }
}

/// A line that was not delivered: the outcome of the delivery, and the reason.
struct Failure {
    delivery: DeliveryResult,
    error: Error,
}

impl LogDatabase {
    /// Creates a receiver, which connects with the first line.
    ///
    /// # Errors
    ///
    /// A usage error if the connection string is invalid or its service is not defined.
    pub(crate) fn new(conninfo: &str, job_name: String, tally: SharedTally) -> Result<LogDatabase, Error> {
        let conninfo = conninfo.to_owned();
        let database =
            LogDatabase { conninfo, job_name, tally, client: None, outages: OutageReport::default() };
        database.target().map_err(|error| error.with_kind(ErrorKind::Usage))?;
        Ok(database)
    }

    /// Parses the connection string again, since the files that it refers to may have changed.
    fn target(&self) -> Result<Target, Error> {
        let mut target = conninfo::parse(&self.conninfo, |name| std::env::var(name).ok())?;
        if target.common.get_application_name().is_none() {
            target.common.application_name(&self.job_name);
        }
        Ok(target)
    }

    /// Sends a line, over a new connection if the present one proves broken.
    fn send(&mut self, line: &Line) -> Result<(), Failure> {
        if let Some(mut client) = self.client.take() {
            match self.add(&mut client, line) {
                Err(error) if is_connection_error(&error) => {}
                result => return self.keep(client, result),
            }
        }
        let connected = self.target().and_then(|target| connect::open(&target));
        let mut client = connected.map_err(|error| Failure { delivery: DeliveryResult::Away, error })?.client;
        let result = self.add(&mut client, line);
        self.keep(client, result)
    }

    /// Keeps the connection unless the server has failed.
    fn keep(&mut self, client: Client, result: Result<(), Error>) -> Result<(), Failure> {
        let failure = result.map_err(|error| match is_about_the_message(&error) {
            true => Failure { delivery: DeliveryResult::Refused, error },
            false => Failure { delivery: DeliveryResult::Away, error },
        });
        if !matches!(&failure, Err(failure) if failure.delivery == DeliveryResult::Away) {
            self.client = Some(client);
        }
        failure
    }

    /// Calls `log.add`. The arguments are of type `unknown`, as literals are, so the function may declare other types.
    fn add(&self, client: &mut Client, line: &Line) -> Result<(), Error> {
        let arguments: [&(dyn ToSql + Sync); 3] = [&line.level, &self.job_name, &line.text];
        let typed = arguments.map(|argument| (argument, Type::UNKNOWN));
        let added = client.execute_typed(ADD, &typed);
        added.map(|_| ()).map_err(|error| Error::failed("log.add failed").caused_by(error))
    }
}

impl Receiver<Line> for LogDatabase {
    fn deliver(&mut self, line: &Line) -> DeliveryResult {
        match self.send(line) {
            Ok(()) => DeliveryResult::Done,
            Err(failure) => {
                let job = &self.job_name;
                self.outages.report(|| {
                    format!("{job}: messages do not reach the log database: {}", describe(&failure.error))
                });
                failure.delivery
            }
        }
    }

    fn lost(&mut self, count: u64) -> Option<Line> {
        let text = format!("{count} messages did not reach the log database");
        Some(Line { level: "WARNING", text })
    }

    fn held(&mut self, now: bool) -> Held<Line> {
        let mut tally = self.tally.lock();
        match tally.due() {
            Some(due) if now || due <= Instant::now() => {
                Held::Due(Line { level: "INFO", text: tally.take() })
            }
            Some(due) => Held::Until(due),
            None => Held::Nothing,
        }
    }
}

/// Returns true if `log.add` refuses the message or is missing. Returns false if the server is unreachable, read-only,
/// out of resources, or too busy.
fn is_about_the_message(error: &Error) -> bool {
    !is_connection_error(error) && sqlstate(error).is_some_and(|state| !StateClass::Transient.contains(state))
}
