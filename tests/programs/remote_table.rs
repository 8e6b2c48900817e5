//! A program that tracks batches on its target: writes the data of events to the table `applied`.

use std::process::ExitCode;

use pgq::{BoxError, Event};
use pgq_ext::{RemoteHandler, script::Program};
use postgres::Transaction;

struct RemoteTable;

impl RemoteHandler for RemoteTable {
    fn process_remote_event(&mut self, event: &Event, dst: &mut Transaction<'_>) -> Result<(), BoxError> {
        dst.execute("insert into public.applied values ($1)", &[&event.data()])?;
        Ok(())
    }
}

fn main() -> ExitCode {
    Program::new("remote_table", "src_db", "dst_db").main_remote(|_| Ok(RemoteTable))
}
