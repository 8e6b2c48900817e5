//! Copies the events of a queue into a queue of another database, exactly once.

use std::process::ExitCode;

use dbscript::Key;
use pgq::{BoxError, Events};
use pgq_ext::{RemoteHandler, script::Program};
use postgres::{Client, Transaction};

const DST_QUEUE: Key = Key::required("dst_queue_name", "Queue to write to. No default.");

struct QueueMover {
    dst_queue: String,
}

impl RemoteHandler for QueueMover {
    fn startup(&mut self, dst: &mut Client) -> Result<(), BoxError> {
        Ok(pgq::require_queue(dst, &self.dst_queue)?)
    }

    fn process_remote_batch(
        &mut self,
        events: &mut Events<'_>,
        dst: &mut Transaction<'_>,
    ) -> Result<(), BoxError> {
        events.copy_to(dst, &self.dst_queue)?;
        Ok(())
    }
}

fn main() -> ExitCode {
    let about = "Copies the events of a queue into a queue of another database, exactly once.";
    Program::new("queue_mover", "src_db", "dst_db")
        .configure(|program| {
            program
                .about(about)
                .version(env!("CARGO_PKG_VERSION"))
                .or_section("queue_mover3")
                .keys(&[DST_QUEUE])
        })
        .main_serial(|config| Ok(QueueMover { dst_queue: config.get(&DST_QUEUE)? }))
}
