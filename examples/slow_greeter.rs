//! Runs a command for every event. No transaction is open meanwhile, so the command may take long.

use std::process::{Command, ExitCode};

use dbscript::Key;
use pgq::{Batch, BoxError, Consumer, Event, Outcome};

const COMMAND: Key = Key::required("command", "Command to run with each name as its argument. No default.");
const AUTOCOMMIT: Key = Key::with_default(
    "pgq_autocommit",
    "1",
    "1: no transaction is open while the command runs. This program requires 1. Defaults to 1.",
);

struct SlowGreeter {
    command: String,
}

impl Consumer for SlowGreeter {
    fn process_event(&mut self, event: &Event, batch: &mut Batch<'_>) -> Result<Outcome, BoxError> {
        let db = batch.client()?;
        let status = Command::new(&self.command).arg(event.data().unwrap_or_default()).status()?;
        if !status.success() {
            // With a retry policy, such as `pgq_max_retries = 5`, the error counts against the event.
            return Err(format!("`{}`: {status}", self.command).into());
        }
        // The insert is committed at once. The event may be redelivered after a crash, so its id is the key.
        let done = "insert into greeted (id, name) values ($1, $2) on conflict do nothing";
        db.execute(done, &[&event.id(), &event.data()])?;
        Ok(Outcome::Done)
    }
}

fn main() -> ExitCode {
    pgq::script::Program::new("slow_greeter", "db")
        .configure(|program| {
            program
                .about("Runs a command for every event.")
                .version(env!("CARGO_PKG_VERSION"))
                .keys(&[COMMAND, AUTOCOMMIT])
        })
        .main(|config| Ok(SlowGreeter { command: config.get(&COMMAND)? }))
}
