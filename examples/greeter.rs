//! A whole consumer: writes a greeting for every event of its queue.

use std::process::ExitCode;

use pgq::{Batch, BoxError, Consumer, Event, Outcome};

struct Greeter;

impl Consumer for Greeter {
    fn process_event(&mut self, event: &Event, batch: &mut Batch<'_>) -> Result<Outcome, BoxError> {
        // Committed together with the batch, so every event is greeted exactly once.
        batch.db()?.execute("insert into greeting (name) values ($1)", &[&event.data()])?;
        Ok(Outcome::Done)
    }
}

fn main() -> ExitCode {
    pgq::script::main("greeter", "db", |_config| Ok(Greeter))
}
