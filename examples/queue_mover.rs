//! The queue mover: copies the events of a queue into a queue of another database, exactly once.

use std::process::ExitCode;

use dbscript::{Config, Control, Databases, Error, Key};
use pgq::{BoxError, Events};
use pgq_ext::{RemoteHandler, script::Program};
use postgres::{Client, Transaction};

const SRC_DB: Key = Key::required("src_db", "");
const DST_DB: Key = Key::required("dst_db", "");
const SRC_QUEUE: Key = Key::required("pgq_queue_name", "").or_named(&["queue_name"]);
const DST_QUEUE: Key = Key::required("dst_queue_name", "Queue to write to. No default.");
const KEEP_EVENT_IDS: Key = Key::with_default(
    "keep_event_ids",
    "0",
    "1: events keep their ids; the target queue must have no other producers. Defaults to 0.",
);

struct QueueMover {
    dst_queue: String,
    keep_event_ids: bool,
}

impl QueueMover {
    fn from_config(config: &Config) -> Result<QueueMover, BoxError> {
        let dst_queue = config.get(&DST_QUEUE)?;
        if config.get(&SRC_QUEUE)? == dst_queue && is_same_database(config)? {
            return Err(Error::usage(format!(
                "cannot move queue `{dst_queue}` into itself: `src_db` and `dst_db` are the same database; set another \
                 `dst_queue_name`"
            ))
            .into());
        }
        Ok(QueueMover { dst_queue, keep_event_ids: config.boolean(&KEEP_EVENT_IDS)? })
    }
}

/// Returns whether both connection strings specify the same database, host, port and user.
fn is_same_database(config: &Config) -> Result<bool, BoxError> {
    let place = |key: &Key| -> Result<String, BoxError> {
        let mut databases = Databases::new("", Control::default());
        databases.set("", &config.get(key)?);
        Ok(databases.label(""))
    };
    Ok(place(&SRC_DB)? == place(&DST_DB)?)
}

impl RemoteHandler for QueueMover {
    fn startup(&mut self, dst: &mut Client) -> Result<(), BoxError> {
        pgq::admin::require_queue(dst, &self.dst_queue)?;
        // With their ids, events need another right on the queue's sequence.
        if !self.keep_event_ids {
            pgq::BulkInsert::require_right(dst, &self.dst_queue)?;
        }
        Ok(())
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
