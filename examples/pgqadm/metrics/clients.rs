//! Who is connected to the server.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

/// So many that have sent no request yet, and so many that have. Whoever comes then takes the place of the one that
/// came first.
const MOST: usize = 128;
/// How long a client may take to read its answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// The clients, each on a task of its own. They are cut off together with this value.
#[derive(Default)]
pub(super) struct Clients {
    tasks: JoinSet<()>,
    silent: Places,
    asking: Places,
    last: u64,
}

/// Clients of one kind, by the number in which they came.
#[derive(Clone, Default)]
struct Places(Rc<RefCell<BTreeMap<u64, AbortHandle>>>);

/// A client, which may be cut off for the sake of others of its kind: those that have asked for something, and those
/// that have not. So neither silent clients nor those that do not read their answers keep a new one from asking.
pub(super) struct Client {
    number: u64,
    silent: Places,
    asking: Places,
    answered: Notify,
}

impl Clients {
    /// Talks to a new client.
    pub(super) fn admit<F>(&mut self, talk: impl FnOnce(Client) -> F)
    where
        F: Future<Output = ()> + 'static,
    {
        while self.tasks.try_join_next().is_some() {}
        self.last += 1;
        let client = Client {
            number: self.last,
            silent: self.silent.clone(),
            asking: self.asking.clone(),
            answered: Notify::new(),
        };
        let task = self.tasks.spawn_local(talk(client));
        self.silent.add(self.last, task);
    }

    /// Waits until all have gone.
    pub(super) async fn all_gone(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Places {
    /// Gives a client a place, that of another one if there is none.
    fn add(&self, number: u64, task: AbortHandle) {
        let mut places = self.0.borrow_mut();
        if places.len() >= MOST
            && let Some((_, oldest)) = places.pop_first()
        {
            oldest.abort();
        }
        places.insert(number, task);
    }

    fn remove(&self, number: u64) -> Option<AbortHandle> {
        self.0.borrow_mut().remove(&number)
    }
}

impl Client {
    /// Takes note that the client has asked for something.
    pub(super) fn asks(&self) {
        if let Some(task) = self.silent.remove(self.number) {
            self.asking.add(self.number, task);
        }
    }

    /// Takes note that its answer is there, which it has to read from now on.
    pub(super) fn is_answered(&self) {
        self.answered.notify_one();
    }

    /// Waits until the client has had time to read its answer.
    pub(super) async fn has_had_time(&self) {
        self.answered.notified().await;
        sleep(ANSWER_LIMIT).await;
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.silent.remove(self.number);
        self.asking.remove(self.number);
    }
}
