//! Queues: create, drop.

use dbscript::{Job, Switches, confirm, plain};
use log::{info, warn};
use pgq::admin::integrity::{Problem, inspect};

use crate::database::{self, Database};
use crate::{DB, FORCE};

/// Creates queues, all of them or none.
pub(crate) fn create(queues: &[&str]) -> Job {
    let mut queues: Vec<String> = queues.iter().map(|queue| (*queue).to_owned()).collect();
    // Who creates the same ones at the same time waits in the same order.
    queues.sort_unstable();
    Job::once(move |cx| {
        let mut db = database::open(cx)?;
        let mut transaction = db.transaction()?;
        let mut created = Vec::new();
        for queue in queues {
            let new =
                pgq::admin::create_queue(&mut transaction, &queue).map_err(|error| cx.locate(DB, error))?;
            created.push((queue, new));
        }
        transaction.commit()?;
        for (queue, new) in &created {
            info!("queue `{}`: {}", plain(queue), if *new { "created" } else { "already there" });
        }
        created.retain(|(_, new)| !new);
        warn_of_broken(&mut db, &created).map_err(|error| cx.locate(DB, error).into())
    })
}

/// Warns of queues that are there, but not whole.
fn warn_of_broken(db: &mut Database, known: &[(String, bool)]) -> Result<(), pgq::Error> {
    if known.is_empty() {
        return Ok(());
    }
    for finding in inspect(&mut **db)? {
        let is_known = known.iter().any(|(queue, _)| finding.queue.as_ref() == Some(queue));
        if is_known && finding.problem == Problem::BrokenQueue {
            warn!("{finding}; {}", finding.remedy());
        }
    }
    Ok(())
}

pub(crate) fn drop(queue: &str, switches: &Switches) -> Job {
    let (queue, forced) = (queue.to_owned(), switches.has(FORCE));
    Job::once(move |cx| {
        let mut db = database::open(cx)?;
        let gone = match forced {
            true => pgq::admin::drop_queue(&mut *db, &queue, true),
            false => {
                match pgq::admin::queue_contents(&mut *db, &queue).map_err(|error| cx.locate(DB, error))? {
                    None => Ok(false),
                    Some(contents) if !contents.dependents.is_empty() => {
                        // Refuses, with the reason.
                        pgq::admin::drop_queue(&mut *db, &queue, true)
                    }
                    Some(contents) => {
                        confirm(&format!("drop queue `{queue}` with {contents}"), false)?;
                        // A consumer that has come since the question is not part of the answer.
                        pgq::admin::drop_queue_confirmed(&mut *db, &queue, &contents.consumers)
                    }
                }
            }
        };
        let gone = gone.map_err(|error| cx.locate(DB, error))?;
        info!("queue `{}`: {}", plain(&queue), if gone { "dropped" } else { "not there" });
        Ok(())
    })
}
