//! Queues: create, drop.

use dbscript::{BoxError, Job, Switches, confirm};
use log::info;

use crate::{DB, FORCE};

/// Creates queues, all of them or none.
pub(crate) fn create(queues: &[&str]) -> Job {
    let queues: Vec<String> = queues.iter().map(|queue| (*queue).to_owned()).collect();
    Job::once(move |cx| {
        let mut db = cx.database(DB)?;
        let mut transaction = db.transaction()?;
        let mut created = Vec::new();
        for queue in queues {
            let new = pgq::create_queue(&mut transaction, &queue).map_err(|error| cx.locate(DB, error))?;
            created.push((queue, new));
        }
        transaction.commit()?;
        for (queue, new) in created {
            info!("queue `{queue}`: {}", if new { "created" } else { "already there" });
        }
        Ok(())
    })
}

pub(crate) fn drop(queue: &str, switches: &Switches) -> Result<Job, BoxError> {
    let (queue, forced) = (queue.to_owned(), switches.has(FORCE));
    Ok(Job::once(move |cx| {
        let mut db = cx.database(DB)?;
        let contents = pgq::queue_contents(&mut *db, &queue).map_err(|error| cx.locate(DB, error))?;
        let Some(contents) = contents else {
            info!("queue `{queue}`: not there");
            return Ok(());
        };
        confirm(&format!("drop queue `{queue}` with {contents}"), forced)?;
        // A consumer that has come since the question is not part of the answer.
        let with_consumers = forced || !contents.consumers.is_empty();
        let gone = pgq::drop_queue(&mut *db, &queue, with_consumers).map_err(|error| cx.locate(DB, error))?;
        info!("queue `{queue}`: {}", if gone { "dropped" } else { "not there" });
        Ok(())
    }))
}
