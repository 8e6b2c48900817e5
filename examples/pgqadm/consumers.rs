//! Consumers of queues: register, move, unregister.

use dbscript::{BoxError, Connection, Context, Error, Job, Switches, confirm};
use log::info;

use crate::{AT, COPY, DB, FORCE};

/// Where a consumer is to begin.
enum Start {
    /// Behind the queue's last tick; where it is if it is registered already.
    Last,
    /// Behind a tick.
    Tick(i64),
    /// Where another consumer is.
    Copy(String),
}

impl Start {
    fn read(switches: &Switches) -> Result<Start, BoxError> {
        match (switches.value(AT), switches.value(COPY)) {
            (None, None) => Ok(Start::Last),
            (None, Some(other)) => Ok(Start::Copy(other.to_owned())),
            (Some(tick), None) => match tick.parse() {
                Ok(tick) => Ok(Start::Tick(tick)),
                Err(_) => Err(Error::usage(format!("--at takes the number of a tick, not `{tick}`")).into()),
            },
            (Some(_), Some(_)) => Err(Error::usage("--at and --copy exclude each other").into()),
        }
    }
}

pub(crate) fn register(queue: &str, consumer: &str, switches: &Switches) -> Result<Job, BoxError> {
    let (queue, consumer) = (queue.to_owned(), consumer.to_owned());
    let (start, forced) = (Start::read(switches)?, switches.has(FORCE));
    Ok(Job::once(move |cx| {
        let mut db = cx.database(DB)?;
        let outcome = match start {
            Start::Last => pgq::register_consumer(&mut *db, &queue, &consumer).map(outcome),
            _ => {
                ask_to_move(cx, &mut db, (&queue, &consumer), &start, forced)?;
                place(&mut db, &queue, &consumer, &start)
            }
        };
        let outcome = outcome.map_err(|error| cx.locate(DB, error))?;
        info!("consumer `{consumer}` on queue `{queue}`: {outcome}");
        Ok(())
    }))
}

fn outcome(new: bool) -> String {
    if new { "registered".to_owned() } else { "already registered".to_owned() }
}

/// A consumer that is moved forgets how far it had come.
fn ask_to_move(
    cx: &Context,
    db: &mut Connection,
    (queue, consumer): (&str, &str),
    start: &Start,
    forced: bool,
) -> Result<(), BoxError> {
    let position =
        pgq::consumer_position(&mut **db, queue, consumer).map_err(|error| cx.locate(DB, error))?;
    let Some((tick, batch)) = position else { return Ok(()) };
    let to = match start {
        Start::Last => return Ok(()),
        Start::Tick(to) if *to == tick && batch.is_none() => return Ok(()),
        Start::Tick(tick) => format!("to tick {tick}"),
        Start::Copy(other) => format!("to where `{other}` is"),
    };
    confirm(&format!("move consumer `{consumer}` on queue `{queue}` from tick {tick} {to}"), forced)
}

fn place(db: &mut Connection, queue: &str, consumer: &str, start: &Start) -> Result<String, pgq::Error> {
    let (new, place) = match start {
        Start::Last => (pgq::register_consumer(&mut **db, queue, consumer)?, String::new()),
        Start::Tick(tick) => {
            (pgq::register_consumer_at(&mut **db, queue, consumer, *tick)?, format!("at tick {tick}"))
        }
        Start::Copy(other) => (
            pgq::register_consumer_copy(&mut **db, queue, consumer, other)?,
            format!("at the position of `{other}`"),
        ),
    };
    Ok(format!("{} {place}", if new { "registered" } else { "already registered, now" }))
}

pub(crate) fn unregister(queue: &str, consumer: &str, switches: &Switches) -> Result<Job, BoxError> {
    let (queue, consumer, forced) = (queue.to_owned(), consumer.to_owned(), switches.has(FORCE));
    Ok(Job::once(move |cx| {
        let mut db = cx.database(DB)?;
        let failed = failed_events(&mut db, &queue, &consumer).map_err(|error| cx.locate(DB, error))?;
        if failed > 0 {
            let what = format!("unregister consumer `{consumer}` of queue `{queue}` and delete its");
            confirm(&format!("{what} {}", crate::failed::events(failed)), forced)?;
        }
        let gone =
            pgq::unregister_consumer(&mut *db, &queue, &consumer).map_err(|error| cx.locate(DB, error))?;
        info!(
            "consumer `{consumer}` on queue `{queue}`: {}",
            if gone { "unregistered" } else { "not registered" }
        );
        Ok(())
    }))
}

/// Returns how many failed events go with a consumer.
fn failed_events(db: &mut Connection, queue: &str, consumer: &str) -> Result<u64, pgq::Error> {
    match pgq::count_failed_events(&mut **db, queue, consumer) {
        // No store or no such consumer: nothing is lost.
        Err(error) if error.is_missing() => Ok(0),
        counted => counted,
    }
}
