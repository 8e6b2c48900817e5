//! Queues and their consumers.

use dbscript::Job;
use log::info;

use crate::DB;

pub(crate) fn create(queue: String) -> Job {
    Job::once(move |cx| {
        let new = pgq::create_queue(&mut *cx.database(DB)?, &queue).map_err(|error| cx.locate(DB, error))?;
        info!("queue `{queue}`: {}", if new { "created" } else { "already there" });
        Ok(())
    })
}

pub(crate) fn register(queue: String, consumer: String) -> Job {
    Job::once(move |cx| {
        let new = pgq::register_consumer(&mut *cx.database(DB)?, &queue, &consumer)
            .map_err(|error| cx.locate(DB, error))?;
        info!(
            "consumer `{consumer}` on queue `{queue}`: {}",
            if new { "registered" } else { "already registered" }
        );
        Ok(())
    })
}

pub(crate) fn unregister(queue: String, consumer: String) -> Job {
    Job::once(move |cx| {
        let gone = pgq::unregister_consumer(&mut *cx.database(DB)?, &queue, &consumer)
            .map_err(|error| cx.locate(DB, error))?;
        info!(
            "consumer `{consumer}` on queue `{queue}`: {}",
            if gone { "unregistered" } else { "not registered" }
        );
        Ok(())
    })
}
