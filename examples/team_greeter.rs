//! A cooperative consumer: several greeters share the work, each with its own `job_name` and `subconsumer_name`.

use std::process::ExitCode;

use pgq::{Batch, BoxError, Consumer, Event, Outcome};

struct TeamGreeter {
    name: String,
}

impl Consumer for TeamGreeter {
    fn process_event(&mut self, event: &Event, batch: &mut Batch<'_>) -> Result<Outcome, BoxError> {
        let greeting = "insert into greeting (name, greeter) values ($1, $2)";
        batch.db()?.execute(greeting, &[&event.data(), &self.name])?;
        Ok(Outcome::Done)
    }
}

fn main() -> ExitCode {
    pgq::script::main("team_greeter", "db", |config| Ok(TeamGreeter { name: config.job_name()? }))
}
