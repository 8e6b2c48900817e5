//! Reads the status of one database whenever it is asked to, on a thread of its own.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use dbscript::{BoxError, Control, Databases, describe};
use log::{debug, error};
use pgq::status::Status;
use tokio::sync::oneshot;

use crate::DB;

/// So many may wait for an answer; one reading serves all of them.
const WAITING: usize = 16;

/// The status, or the name of the database that cannot be read.
pub(super) type Answer = Result<Box<Status>, String>;

/// A thread that reads a status. It ends together with this value, once it has nothing under way.
pub(super) struct Reader {
    /// `None` when no thread could be started.
    questions: Option<SyncSender<oneshot::Sender<Answer>>>,
    control: Control,
}

impl Reader {
    /// Starts one for a connection string; `name` names the database until it has been reached.
    pub(super) fn start(name: &str, conninfo: &str) -> Reader {
        let control = Control::default();
        let mut databases = Databases::new("pgqadm_metrics", control.clone());
        databases.set(DB, conninfo);
        let (questions, asked) = sync_channel(WAITING);
        let name = name.to_owned();
        let thread = thread::Builder::new().name("metrics_read".to_owned());
        match thread.spawn(move || answer_all(databases, name, &asked)) {
            Ok(_) => Reader { questions: Some(questions), control },
            Err(failed) => {
                error!("cannot read metrics: {}", describe(&failed));
                Reader { questions: None, control }
            }
        }
    }

    /// Asks for the status; `None` when too many wait already.
    pub(super) fn ask(&self) -> Option<oneshot::Receiver<Answer>> {
        let (question, answer) = oneshot::channel();
        self.questions.as_ref()?.try_send(question).ok()?;
        Some(answer)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.control.stop();
    }
}

fn answer_all(mut databases: Databases, mut name: String, asked: &Receiver<oneshot::Sender<Answer>>) {
    while let Ok(first) = asked.recv() {
        let questions: Vec<_> = std::iter::once(first).chain(asked.try_iter()).collect();
        let answer = match read(&mut databases) {
            Ok(status) => {
                name.clone_from(&status.database);
                Ok(Box::new(status))
            }
            Err(failed) => {
                debug!("metrics: {}", describe(&*failed));
                databases.reset();
                Err(name.clone())
            }
        };
        for question in questions {
            // Who has gone away needs no answer.
            let _ = question.send(answer.clone());
        }
    }
}

fn read(databases: &mut Databases) -> Result<Status, BoxError> {
    Ok(Status::read(&mut *databases.get(DB)?)?)
}
