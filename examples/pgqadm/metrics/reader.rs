//! Reads the status of one database whenever it is asked to, on a thread of its own.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use dbscript::{BoxError, Control, Databases, describe};
use log::{debug, error};
use pgq::status::Status;
use tokio::sync::oneshot;

use crate::DB;

/// The status; `None` when the database cannot be read.
pub(super) type Answer = Option<Arc<Status>>;

type Question = oneshot::Sender<Answer>;

/// A thread that reads a status. It ends together with this value, once it has nothing under way.
pub(super) struct Reader {
    /// `None` when no thread could be started.
    questions: Option<Sender<Question>>,
    control: Control,
    name: Arc<Mutex<String>>,
}

impl Reader {
    /// Starts one for a connection string; `fallback` names the database where that does not.
    pub(super) fn start(fallback: &str, conninfo: &str) -> Reader {
        let control = Control::default();
        let mut databases = Databases::new("pgqadm_metrics", control.clone());
        databases.pin_search_path();
        databases.set(DB, conninfo);
        let name = databases.dbname(DB).unwrap_or_else(|| fallback.to_owned());
        let name = Arc::new(Mutex::new(name));
        let (questions, asked) = channel();
        let known = name.clone();
        let thread = thread::Builder::new().name("metrics_read".to_owned());
        let questions = match thread.spawn(move || answer_all(databases, &known, &asked)) {
            Ok(_) => Some(questions),
            Err(failed) => {
                error!("cannot read metrics: {}", describe(&failed));
                None
            }
        };
        Reader { questions, control, name }
    }

    /// Asks for the status; `None` when nobody answers. A reading that is under way answers this question too, so
    /// that one lasts no longer because many ask.
    pub(super) fn ask(&self) -> Option<oneshot::Receiver<Answer>> {
        let (question, answer) = oneshot::channel();
        self.questions.as_ref()?.send(question).ok()?;
        Some(answer)
    }

    /// Returns the name of the database: its own, or until it has been reached that of its connection string.
    pub(super) fn name(&self) -> String {
        self.name.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.control.stop();
    }
}

fn answer_all(mut databases: Databases, name: &Mutex<String>, asked: &Receiver<Question>) {
    // Who has gone away needs no answer.
    for first in asked.iter().filter(|question| !question.is_closed()) {
        let answer = match read(&mut databases) {
            Ok(status) => {
                name.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&status.database);
                Some(Arc::new(status))
            }
            Err(failed) => {
                debug!("metrics: {}", describe(&*failed));
                databases.reset();
                None
            }
        };
        for question in std::iter::once(first).chain(asked.try_iter()) {
            let _ = question.send(answer.clone());
        }
    }
}

fn read(databases: &mut Databases) -> Result<Status, BoxError> {
    Ok(Status::read(&mut *databases.get(DB)?)?)
}
