//! Handlers that claim events in transactions of `tokio_postgres`.

use std::sync::Arc;

use pgq::tokio::tokio_postgres::{Client, NoTls, connect};
use pgq_ext::tokio::claim_event;
use tokio::sync::Mutex;

use super::super::{KINDS, effects, expected, insert, is_done, settings};
use super::*;

/// A pool, whose connections open at the first use.
#[derive(Clone)]
struct Pool {
    conninfo: Arc<str>,
    clients: Arc<[Mutex<Option<Client>>; 4]>,
}

impl Pool {
    async fn apply(self, event: Event, origin: Origin) -> Result<(), BoxError> {
        let place = usize::try_from(event.id())? % self.clients.len();
        let mut client = self.clients[place].lock().await;
        if client.is_none() {
            let (opened, connection) = connect(&self.conninfo, NoTls).await?;
            tokio::spawn(connection);
            *client = Some(opened);
        }
        let transaction = client.as_mut().ok_or("a client")?.transaction().await?;
        if claim_event(&transaction, &origin, &event).await? {
            let insert = "insert into effect values ($1, $2)";
            transaction.execute(insert, &[&event.id(), &event.data()]).await?;
            transaction.commit().await?;
        }
        Ok(())
    }
}

/// Each batch is handled twice: the first time, an event after the others fails.
#[test]
fn a_batch_that_comes_again_skips_what_was_applied() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        insert(&mut client, 1, 200);
        let pool = Pool { conninfo: database.conninfo().into(), clients: Arc::default() };
        let calls = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let counter = calls.clone();
        let handlers = Handlers::new().on("type", move |event: Event, origin: Origin| {
            let (pool, call) = (pool.clone(), counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst));
            async move {
                match call {
                    150 => Err("an error".into()),
                    _ => pool.apply(event, origin).await,
                }
            }
        });
        let running = Running::start(Worker::with_settings(&database.conninfo(), settings()), handlers);
        wait_for("the end of all events", || is_done(&mut client));
        running.end().expect("stopped");
        assert!(calls.load(std::sync::atomic::Ordering::SeqCst) > 200);
        assert_eq!(effects(&mut client), expected(1, 200), "{kind:?}");
    }
}
