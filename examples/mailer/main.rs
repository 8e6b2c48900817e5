//! Sends a mail for each event that a trigger `logutriga` has written.

mod connection;
mod encryption;
mod letter;
mod postbox;
mod server;
mod settings;
mod template;
mod trouble;
mod wire;

use std::process::ExitCode;

use dbscript::{DataError, describe, describe_in_full};
use log::{debug, info, warn};
use pgq::consume::DEFAULT_RETRY_DELAY;
use pgq::payload::Fields;
use pgq::script::Program;
use pgq::{Batch, BoxError, Consumer, Event, Outcome};

use crate::letter::Letter;
use crate::postbox::Postbox;
use crate::server::Server;
use crate::trouble::Trouble;

struct Mailer {
    server: Server,
    letter: Letter,
}

impl Mailer {
    fn handle(
        &self,
        event: &Event,
        batch: &mut Batch<'_>,
        postbox: &mut Postbox<'_>,
    ) -> Result<Outcome, BoxError> {
        let mut trouble = None;
        let outcome = batch.attempt(event, |batch| match self.send(event, batch.queue(), postbox) {
            Ok(()) => Ok(Outcome::Done),
            Err(found) => outcome(event, trouble.insert(found)),
        })?;
        let Some(trouble) = trouble else { return Ok(outcome) };
        let outcome = match (&trouble, outcome) {
            // With nothing sent, the batch can be taken again as a whole.
            (Trouble::Login(reason), _) if postbox.sent() == 0 => return Err(reason.clone().into()),
            (Trouble::Login(reason), Outcome::Failed(_)) => Outcome::Failed(reason.to_string()),
            (Trouble::Login(reason), retried) => {
                warn!("event {} has to wait: {}", event.id(), reason.for_log());
                retried
            }
            (_, outcome) => outcome,
        };
        if matches!(outcome, Outcome::Failed(_)) {
            warn!("event {} is given up: {}", event.id(), trouble.reason().for_log());
        }
        Ok(outcome)
    }

    fn send(&self, event: &Event, queue: &str, postbox: &mut Postbox<'_>) -> Result<(), Trouble> {
        let fields = event.urldecode().map_err(|error| refused(&error))?;
        tell(event, &fields);
        let mail = self.letter.write(queue, event, &fields).map_err(|error| refused(&*error))?;
        postbox.send(&mail)
    }
}

impl Consumer for Mailer {
    fn process_batch(&mut self, batch: &mut Batch<'_>) -> Result<(), BoxError> {
        let mut postbox = Postbox::new(&self.server);
        let mut left = 0;
        while let Some(event) = batch.next_event()? {
            if batch.is_stopping() {
                batch.put_back(&event);
                left += 1;
                continue;
            }
            let outcome = self.handle(&event, batch, &mut postbox)?;
            batch.settle(&event, outcome);
        }
        if left > 0 {
            info!("asked to stop, mails left for later: {left}");
        }
        Ok(())
    }
}

/// Returns the outcome of an event whose mail was not sent, or the error that counts against it.
fn outcome(event: &Event, trouble: &Trouble) -> Result<Outcome, BoxError> {
    match trouble {
        Trouble::Refused(reason) => Ok(Outcome::Failed(reason.to_string())),
        Trouble::Away(reason) => Err(reason.clone().into()),
        Trouble::Later(reason) => {
            info!("event {} has to wait: {}", event.id(), reason.for_log());
            Err(reason.clone().into())
        }
        Trouble::Login(_) => Ok(Outcome::Retry(DEFAULT_RETRY_DELAY)),
    }
}

/// Makes a refusal of what is wrong with an event.
fn refused(error: &(dyn std::error::Error + 'static)) -> Trouble {
    Trouble::Refused(DataError::new(describe_in_full(error), describe(error)))
}

fn tell(event: &Event, fields: &Fields<'_>) {
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
