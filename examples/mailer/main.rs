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

use log::{debug, info, warn};
use pgq::payload::Fields;
use pgq::script::Program;
use pgq::{Batch, BoxError, Consumer, DEFAULT_RETRY_DELAY, Event, Outcome};

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
        let mut refused_login = None;
        let outcome = batch.attempt(event, |batch| match self.send(event, batch.queue(), postbox) {
            Ok(()) => Ok(Outcome::Done),
            Err(Trouble::Refused(reason)) => Ok(Outcome::Failed(reason)),
            Err(Trouble::Away(reason)) => Err(reason.into()),
            Err(Trouble::Later(reason)) => {
                info!("event {} has to wait: {reason}", event.id());
                Err(reason.into())
            }
            Err(Trouble::Login(reason)) => {
                refused_login = Some(reason);
                Ok(Outcome::Retry(DEFAULT_RETRY_DELAY))
            }
        })?;
        match refused_login.map(|reason| format!("the mail server refuses the login: {reason}")) {
            None => Ok(outcome),
            // With nothing sent, the batch can be taken again as a whole.
            Some(refused) if postbox.sent() == 0 => Err(refused.into()),
            Some(refused) if matches!(outcome, Outcome::Failed(_)) => Ok(Outcome::Failed(refused)),
            Some(refused) => {
                warn!("event {} has to wait: {refused}", event.id());
                Ok(outcome)
            }
        }
    }

    fn send(&self, event: &Event, queue: &str, postbox: &mut Postbox<'_>) -> Result<(), Trouble> {
        let fields = event.urldecode().map_err(|error| Trouble::Refused(dbscript::describe(&error)))?;
        tell(event, &fields);
        let mail = self.letter.write(queue, event, &fields).map_err(Trouble::Refused)?;
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
            if let Outcome::Failed(reason) = &outcome {
                warn!("event {} is given up: {reason}", event.id());
            }
            batch.settle(&event, outcome);
        }
        if left > 0 {
            info!("asked to stop, mails left for later: {left}");
        }
        Ok(())
    }
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
                .keys(&settings::KEYS)
        })
        .main(settings::mailer)
}
