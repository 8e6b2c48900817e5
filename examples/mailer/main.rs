//! The mailer: sends a mail for each event of a trigger `logutriga`.

mod connection;
mod encryption;
mod limited_stream;
mod message;
mod send_error;
mod server;
mod settings;
mod template;
mod transport;

use std::process::ExitCode;

use dbscript::{DataError, describe, describe_in_full};
use log::{debug, info, warn};
use pgq::consume::DEFAULT_RETRY_DELAY;
use pgq::payload::Fields;
use pgq::script::Program;
use pgq::{Batch, BoxError, Consumer, Event, Outcome};

use crate::message::MessageTemplate;
use crate::send_error::SendError;
use crate::server::Server;
use crate::transport::Transport;

struct Mailer {
    server: Server,
    message: MessageTemplate,
}

impl Mailer {
    fn handle(
        &self,
        event: &Event,
        batch: &mut Batch<'_>,
        transport: &mut Transport<'_>,
    ) -> Result<Outcome, BoxError> {
        let mut send_error = None;
        let outcome = batch.attempt(event, |batch| match self.send(event, batch.queue(), transport) {
            Ok(()) => Ok(Outcome::Done),
            Err(error) => outcome(event, send_error.insert(error)),
        })?;
        let Some(send_error) = send_error else { return Ok(outcome) };
        let outcome = match (&send_error, outcome) {
            // With no mail sent, the whole batch can be retried.
            (SendError::Login(reason), _) if transport.sent() == 0 => return Err(reason.clone().into()),
            (SendError::Login(reason), Outcome::Failed(_)) => Outcome::Failed(reason.to_string()),
            (SendError::Login(reason), retried) => {
                warn!("event {} is deferred: {}", event.id(), reason.for_log());
                retried
            }
            (_, outcome) => outcome,
        };
        if matches!(outcome, Outcome::Failed(_)) {
            warn!("event {} has failed: {}", event.id(), send_error.reason().for_log());
        }
        Ok(outcome)
    }

    fn send(&self, event: &Event, queue: &str, transport: &mut Transport<'_>) -> Result<(), SendError> {
        let fields = event.urldecode().map_err(|error| refused(&error))?;
        log_event(event, &fields);
        let mail = self.message.render(queue, event, &fields).map_err(|error| refused(&*error))?;
        transport.send(&mail)
    }
}

impl Consumer for Mailer {
    fn process_batch(&mut self, batch: &mut Batch<'_>) -> Result<(), BoxError> {
        let mut transport = Transport::new(&self.server);
        let mut left = 0;
        while let Some(event) = batch.next_event()? {
            if batch.is_stopping() {
                batch.put_back(&event);
                left += 1;
                continue;
            }
            let outcome = self.handle(&event, batch, &mut transport)?;
            batch.settle(&event, outcome);
        }
        if left > 0 {
            info!("stopping: mails left for later: {left}");
        }
        Ok(())
    }
}

/// Returns the outcome of an event whose mail was not sent, or the error that counts against the event.
fn outcome(event: &Event, error: &SendError) -> Result<Outcome, BoxError> {
    match error {
        SendError::Refused(reason) => Ok(Outcome::Failed(reason.to_string())),
        SendError::Unreachable(reason) => Err(reason.clone().into()),
        SendError::Deferred(reason) => {
            info!("event {} is deferred: {}", event.id(), reason.for_log());
            Err(reason.clone().into())
        }
        SendError::Login(_) => Ok(Outcome::Retry(DEFAULT_RETRY_DELAY)),
    }
}

/// Makes the refusal of an invalid event.
fn refused(error: &(dyn std::error::Error + 'static)) -> SendError {
    SendError::Refused(DataError::new(describe_in_full(error), describe(error)))
}

fn log_event(event: &Event, fields: &Fields<'_>) {
    let (kind, origin) = (event.event_type(), event.extra1().unwrap_or("None"));
    debug!("event : {fields} | type : {kind} | inserted by : {origin}");
}

fn main() -> ExitCode {
    Program::new("mailer_daemon", "src_db")
        .configure(|program| {
            program
                .about("Sends a mail for each event that a trigger `logutriga` has written.")
                .version(env!("CARGO_PKG_VERSION"))
                .pin_search_path()
                .keys(settings::KEYS)
        })
        .main(settings::mailer)
}
