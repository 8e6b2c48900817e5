//! Copies the events of a queue into a queue of another database, exactly once.

use std::process::ExitCode;

use dbscript::{Config, Key};
use pgq::{BoxError, Events};
use pgq_ext::{RemoteHandler, script::Program};
use postgres::{Client, Transaction};

const DST_QUEUE: Key = Key::required("dst_queue_name", "Queue to write to. No default.");
const KEEP_EVENT_IDS: Key = Key::with_default(
    "keep_event_ids",
    "0",
    "1: events keep their ids, which takes a target queue without other producers. Defaults to 0.",
);

struct QueueMover {
    dst_queue: String,
    keep_event_ids: bool,
}

impl QueueMover {
    fn from_config(config: &Config) -> Result<QueueMover, BoxError> {
        Ok(QueueMover {
            dst_queue: config.get(&DST_QUEUE)?,
            keep_event_ids: config.boolean(&KEEP_EVENT_IDS)?,
        })
    }
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
        match self.keep_event_ids {
            false => events.copy_to(dst, &self.dst_queue)?,
            true => events.copy_with_ids_to(dst, &self.dst_queue)?,
        };
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
                .pin_search_path()
                .keys(&[DST_QUEUE, KEEP_EVENT_IDS])
        })
        .main_serial(QueueMover::from_config)
}
