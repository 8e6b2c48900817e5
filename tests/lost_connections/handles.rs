//! Handles that are dropped during a round.

use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use dbscript::{BoxError, Context, Round, Script, Worker};

use crate::support::shared;

/// Works for ever, with or without a server.
struct Endless {
    begun: Sender<()>,
    statement: Option<&'static str>,
}

impl Script for Endless {
    fn work(&mut self, cx: &mut Context) -> Result<Round, BoxError> {
        self.begun.send(())?;
        match self.statement {
            Some(statement) => cx.database("db")?.batch_execute(statement)?,
            None => thread::sleep(Duration::from_secs(3600)),
        }
        Ok(Round::Idle)
    }
}

/// Dropping the handle does not wait for a round of an hour, be it in the program's code or in a statement.
#[test]
fn dropping_a_handle_does_not_wait_for_ever() {
    for statement in [None, Some("select pg_sleep(3600)")] {
        let (begun, is_begun) = channel();
        let worker = Worker::new("endless").database("db", &shared().conninfo("postgres"));
        let handle = worker.spawn(Endless { begun, statement }).expect("up");
        is_begun.recv().expect("the round has begun");
        let begin = Instant::now();
        drop(handle);
        assert!(begin.elapsed() < Duration::from_secs(600));
    }
}
