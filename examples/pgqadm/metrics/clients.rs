//! Who is connected to the server.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::task::{AbortHandle, JoinSet};

/// So many at a time. Whoever comes then takes the place of the one that has been silent for the longest time.
const MOST: usize = 256;

/// The clients, each on a task of its own. They are cut off together with this value.
#[derive(Default)]
pub(super) struct Clients {
    tasks: JoinSet<()>,
    silent: Silent,
    last: u64,
}

/// Those who have not sent a request yet, by the number in which they came.
type Silent = Rc<RefCell<BTreeMap<u64, AbortHandle>>>;

/// A client, which may be cut off for the sake of others until it has asked for something.
pub(super) struct Client {
    number: u64,
    silent: Silent,
}

impl Clients {
    /// Talks to a new client, unless there is no place for it.
    pub(super) fn admit<F>(&mut self, talk: impl FnOnce(Client) -> F)
    where
        F: Future<Output = ()> + 'static,
    {
        while self.tasks.try_join_next().is_some() {}
        if self.tasks.len() >= MOST && !self.make_room() {
            return;
        }
        self.last += 1;
        let client = Client { number: self.last, silent: self.silent.clone() };
        let task = self.tasks.spawn_local(talk(client));
        self.silent.borrow_mut().insert(self.last, task);
    }

    fn make_room(&self) -> bool {
        let longest = self.silent.borrow_mut().pop_first();
        longest.map(|(_, task)| task.abort()).is_some()
    }

    /// Waits until all have gone.
    pub(super) async fn all_gone(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Client {
    /// Keeps the client's place, since it has asked for something.
    pub(super) fn asks(&self) {
        self.silent.borrow_mut().remove(&self.number);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.asks();
    }
}
