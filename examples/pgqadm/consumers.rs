//! `register` and `unregister`: consumers of queues.

use std::fmt;

use dbscript::{BoxError, Consent, Context, Error, Job, Switches, confirm, printable};
use log::info;
use pgq::admin::Position;

use crate::commands::consent;
use crate::database::{self, Database};
use crate::{AT, COPY, DB};

/// The position of a new consumer, if it is not the queue's last tick.
enum Place {
    /// After a tick.
    Tick(i64),
    /// After the last tick at a time or before it; an interval is one before now.
    Time(String),
    /// At the position of another consumer.
    Copy(String),
}

impl Place {
    fn read(switches: &Switches) -> Result<Option<Place>, BoxError> {
        match (switches.value(AT), switches.value(COPY)) {
            (None, None) => Ok(None),
            (None, Some(other)) => Ok(Some(Place::Copy(other.to_owned()))),
            (Some(at), None) => Ok(Some(at.parse().map_or_else(|_| Place::Time(at.to_owned()), Place::Tick))),
            (Some(_), Some(_)) => Err(Error::usage("--at and --copy exclude each other").into()),
        }
    }

    /// Returns the tick. Fails when it does not exist.
    fn tick(&self, db: &mut Database, queue: &str) -> Result<i64, pgq::Error> {
        match self {
            Place::Tick(tick) => pgq::admin::require_tick(&mut **db, queue, *tick).map(|()| *tick),
            Place::Time(time) => {
                let time = pgq::admin::read_time(&mut **db, time)?;
                pgq::admin::tick_at(&mut **db, queue, time).map(|checkpoint| checkpoint.tick)
            }
            Place::Copy(other) => pgq::admin::position_to_copy(&mut **db, queue, other),
        }
    }
}

/// Formats a place with its tick.
struct Named<'a>(&'a Place, i64);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Place::Tick(_) | Place::Time(_) => write!(f, "at tick {}", self.1),
            Place::Copy(other) => write!(f, "at the position of `{}`, tick {}", printable(other), self.1),
        }
    }
}

pub(crate) fn register(queue: &str, consumer: &str, switches: &Switches) -> Result<Job, BoxError> {
    let (queue, consumer) = (queue.to_owned(), consumer.to_owned());
    let (place, consent) = (Place::read(switches)?, consent(switches));
    Ok(Job::once(move |cx| {
        let mut db = database::open(cx)?;
        let outcome = match place {
            Some(place) => register_at(cx, &mut db, (&queue, &consumer), &place, consent)?,
            None => match pgq::admin::register_consumer(&mut *db, &queue, &consumer) {
                Ok(true) => "registered".to_owned(),
                Ok(false) => "already registered".to_owned(),
                Err(error) => return Err(cx.locate(DB, error).into()),
            },
        };
        info!("consumer `{}` on queue `{}`: {outcome}", printable(&consumer), printable(&queue));
        Ok(())
    }))
}

/// Registers a consumer at a place, or moves it there. Returns the outcome.
fn register_at(
    cx: &Context,
    db: &mut Database,
    (queue, consumer): (&str, &str),
    place: &Place,
    consent: Consent,
) -> Result<String, BoxError> {
    let located = |error: pgq::Error| cx.locate(DB, error);
    let to = place.tick(db, queue).map_err(located)?;
    let before = pgq::admin::consumer_position(&mut **db, queue, consumer).map_err(located)?;
    let stays = before == Some(Position::Own { tick: to, batch: None });
    // Moving a consumer overwrites its position.
    if let (Some(Position::Own { tick, .. }), false) = (&before, stays) {
        let destination = match place {
            Place::Tick(_) | Place::Time(_) => format!("to tick {to}"),
            Place::Copy(other) => format!("to the position of `{other}`, tick {to}"),
        };
        confirm(
            &format!("move consumer `{consumer}` on queue `{queue}` from tick {tick} {destination}"),
            consent,
        )?;
    }
    let new = pgq::admin::register_consumer_at(&mut **db, queue, consumer, to).map_err(located)?;
    let outcome = match (new, stays) {
        (true, _) => "registered",
        (false, true) => "already",
        (false, false) => "already registered, now",
    };
    Ok(format!("{outcome} {}", Named(place, to)))
}

pub(crate) fn unregister(queue: &str, consumer: &str, switches: &Switches) -> Job {
    let (queue, consumer, consent) = (queue.to_owned(), consumer.to_owned(), consent(switches));
    Job::once(move |cx| {
        let mut db = database::open(cx)?;
        let located = |error: pgq::Error| cx.locate(DB, error);
        let position = pgq::admin::consumer_position(&mut *db, &queue, &consumer).map_err(located)?;
        if let Some(Position::Own { .. }) = position {
            let lost = pgq::admin::retained_events(&mut *db, &queue, &consumer).map_err(located)?;
            if !lost.is_empty() {
                let action =
                    format!("unregister consumer `{consumer}` of queue `{queue}` and delete its {lost}");
                confirm(&action, consent)?;
            }
        }
        let gone = pgq::admin::unregister_consumer(&mut *db, &queue, &consumer).map_err(located)?;
        let outcome = match (gone, position) {
            (false, _) => "not registered",
            (true, Some(Position::Shared { batch: Some(_), .. })) => {
                "unregistered; the events of its open batch return to the other subconsumers"
            }
            (true, _) => "unregistered",
        };
        info!("consumer `{}` on queue `{}`: {outcome}", printable(&consumer), printable(&queue));
        Ok(())
    })
}
