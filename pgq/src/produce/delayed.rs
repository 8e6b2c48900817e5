//! Delayed events among those to insert.

use chrono::{DateTime, Utc};
use dbscript::param::{Param, text};
use postgres::GenericClient;
use postgres::error::SqlState;
use postgres::types::Type;

use crate::error::{Error, ErrorKind};
use crate::event::new_event::NewEvent;
use crate::produce::chunk::Chunk;
use crate::schema;
use crate::sql;
use crate::time;

/// Returns the events that are inserted at once, and moves the delayed ones to `delayed`.
pub(crate) fn split<'a>(
    events: impl IntoIterator<Item = NewEvent<'a>>,
    delayed: &mut Vec<NewEvent<'a>>,
) -> impl Iterator<Item = NewEvent<'a>> {
    events.into_iter().filter_map(|event| match event.at {
        None => Some(event),
        Some(_) => {
            delayed.push(event);
            None
        }
    })
}

/// Inserts delayed events; returns their number.
pub(crate) fn insert_all(
    client: &mut impl GenericClient,
    queue: &str,
    delayed: Vec<NewEvent<'_>>,
) -> Result<u64, Error> {
    let (mut delayed, mut inserted) = (delayed.into_iter(), 0);
    while let Some(chunk) = Chunk::next(&mut delayed) {
        let (texts, dues) = (chunk.texts(), chunk.dues());
        let answer = client.query_typed_one(sql::INSERT_ALL_DELAYED, &values(&queue, &texts, &dues));
        inserted += answer.map_err(|error| failed(queue, error))?.get::<_, i64>(0).unsigned_abs();
    }
    Ok(inserted)
}

/// Returns the values of [`sql::INSERT_ALL_DELAYED`].
pub(crate) fn values<'a>(
    queue: &'a &str,
    texts: &'a [Vec<Option<&str>>; 6],
    dues: &'a Vec<Option<String>>,
) -> [Param<'a>; 8] {
    let [types, data, extra1, extra2, extra3, extra4] = texts;
    [
        text(queue),
        (types, Type::TEXT_ARRAY),
        (data, Type::TEXT_ARRAY),
        (extra1, Type::TEXT_ARRAY),
        (extra2, Type::TEXT_ARRAY),
        (extra3, Type::TEXT_ARRAY),
        (extra4, Type::TEXT_ARRAY),
        (dues, Type::TEXT_ARRAY),
    ]
}

/// Returns the last value of [`sql::INSERT_DELAYED`]; `None` for an event that is inserted at once.
pub(crate) fn due(event: &NewEvent<'_>) -> Option<String> {
    event.at.map(|at: DateTime<Utc>| time::to_text(at))
}

/// Makes the error of a statement that inserts delayed events.
pub(crate) fn failed(queue: &str, error: postgres::Error) -> Error {
    explained(schema::failed_or_missing("cannot insert a delayed event", error).on_queue(queue))
}

/// Says in the error of a statement for delayed events or events once that they are not installed, if that is the cause.
pub(crate) fn explained(error: Error) -> Error {
    let is_undefined = error.kind() == ErrorKind::Missing
        || matches!(error.sqlstate(), None | Some(&SqlState::UNDEFINED_FUNCTION));
    let described = dbscript::describe(&error);
    match is_undefined && ["pgq.insert_event_at(", "pgq.insert_event_once("].iter().any(|name| described.contains(name)) {
        true => Error::missing(
            "delayed events and events once are not installed; run `pgqadm CONFIG.ini install` or `pgq::schema::install`",
        )
        .caused_by(error),
        false => error,
    }
}

/// Makes the error for a delayed event in a COPY.
pub(crate) fn refused(queue: &str) -> Error {
    Error::usage("a delayed event cannot be inserted by COPY; use `bulk_insert` or `insert_new_event`")
        .on_queue(queue)
}
