//! `create` and `drop`: queues.

use dbscript::{Consent, Job, Switches, confirm, printable};
use log::{info, warn};
use pgq::admin::integrity::{Problem, inspect};

use crate::DB;
use crate::commands::consent;
use crate::database::{self, Database};

/// Creates queues, all of them or none.
pub(crate) fn create(queues: &[&str]) -> Job {
    let mut queues: Vec<String> = queues.iter().map(|queue| (*queue).to_owned()).collect();
    // Programs that create the same queues at the same time lock them in the same order.
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
            info!("queue `{}`: {}", printable(queue), if *new { "created" } else { "already exists" });
        }
        created.retain(|(_, new)| !new);
        warn_of_broken(&mut db, &created).map_err(|error| cx.locate(DB, error).into())
    })
}

/// Logs a warning for each existing queue that is incomplete.
fn warn_of_broken(db: &mut Database, existing: &[(String, bool)]) -> Result<(), pgq::Error> {
    if existing.is_empty() {
        return Ok(());
    }
    for finding in inspect(&mut **db)? {
        let is_listed = existing.iter().any(|(queue, _)| finding.queue.as_ref() == Some(queue));
        if is_listed && finding.problem == Problem::BrokenQueue {
            warn!("{finding}; {}", finding.remedy());
        }
    }
    Ok(())
}

pub(crate) fn drop(queue: &str, switches: &Switches) -> Job {
    let (queue, consent) = (queue.to_owned(), consent(switches));
    Job::once(move |cx| {
        let mut db = database::open(cx)?;
        let dropped = match consent {
            Consent::Given => pgq::admin::drop_queue(&mut *db, &queue, pgq::admin::DropMode::Force),
            Consent::Required => {
                match pgq::admin::queue_contents(&mut *db, &queue).map_err(|error| cx.locate(DB, error))? {
                    None => Ok(false),
                    Some(contents) if !contents.dependents.is_empty() => {
                        // The function refuses with the reason.
                        pgq::admin::drop_queue(&mut *db, &queue, pgq::admin::DropMode::Force)
                    }
                    Some(contents) => {
                        confirm(&format!("drop queue `{queue}` with {contents}"), Consent::Required)?;
                        // The confirmation does not include consumers that were registered since then.
                        pgq::admin::drop_queue_confirmed(&mut *db, &queue, &contents.consumers)
                    }
                }
            }
        };
        let dropped = dropped.map_err(|error| cx.locate(DB, error))?;
        info!("queue `{}`: {}", printable(&queue), if dropped { "dropped" } else { "does not exist" });
        Ok(())
    })
}
