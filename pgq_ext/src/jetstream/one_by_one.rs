//! Storing messages one by one, for streams without atomic batches.
//!
//! The first message of a part has the sequence that the stream's last message must have (`Nats-Expected-Last-Sequence`),
//! each other one the id that its last message must have (`Nats-Expected-Last-Msg-Id`), which is that of the message
//! before. A message that is lost or refused, or another writer's message, makes the stream refuse all behind it: the
//! stored messages are the first ones of a part, without a gap. A sequence is not enough, since another writer's message
//! would take the place of a refused one. Ids are of one use, so that the stream's window of duplicates has no meaning.
//!
//! The header `Pgq-Position` of an event's message says which one of its batch it is, so that the stream's last message is
//! the position.

use async_nats::jetstream::message::StreamMessage;
use async_nats::{HeaderMap, header};
use pgq::{BoxError, Event};

use super::Options;
use super::connection::{Connection, Pending, Way};
use super::marker::Marker;
use super::message::Message;
use super::owner::Owner;
use super::subject::escaped;
use crate::sink::Position;

/// The header of the place of an event within its batch.
pub(super) const POSITION: &str = "Pgq-Position";

/// The end of a stream, as the next message expects it.
pub(super) struct Tail {
    /// The sequence of the stream's last message, 0 if there is none.
    last: u64,
    /// The sequence of the consumer's last marker, and that marker.
    marker: Option<(u64, Marker)>,
    /// The place of the last event behind that marker.
    place: Option<Place>,
    /// The id of the stream's last message, while this process waits for the replies to it.
    last_id: Option<String>,
    /// Whether the stream's last message is another writer's.
    is_shared: bool,
}

/// The messages of a part of a batch, and the state behind them.
pub(super) struct Part {
    messages: Vec<Message>,
    /// The sequence of the last marker, and that marker.
    end: Option<(u64, Marker)>,
    /// The place of the last event behind that marker.
    place: Option<Place>,
}

/// The place of an event within its batch, in its message's header.
#[derive(Clone, Copy)]
struct Place {
    /// The sequence of the last marker before it.
    marker: u64,
    /// The number of the event within the batch, from 1 on.
    number: u64,
    id: i64,
}

impl Tail {
    /// Reads the end of a stream back to the consumer's last message.
    pub(super) fn read(connection: &Connection, owner: &Owner) -> Result<Tail, BoxError> {
        // A message that another process stores after this reading makes the stream refuse the next one of this process.
        let last = connection.last_sequence()?;
        let marker = connection.last_message(&owner.subject)?;
        let marker = marker.map(|marker| parsed(&marker, owner)).transpose()?;
        let first = match &marker {
            Some((sequence, Marker::OneByOne(position))) if !position.is_complete => *sequence,
            // No events are behind it.
            other => return Tail::at_marker(connection, last, other.clone(), owner),
        };
        for at in (first + 1..=last).rev() {
            let found = connection.message(at)?;
            if let Some(place) = found.and_then(|message| Place::of(&message.headers, owner)) {
                let marker = connection.message(place.marker)?;
                let marker = marker.ok_or("the message with the start of the batch was removed")?;
                let marker = Some(parsed(&marker, owner)?);
                return Ok(Tail { last, marker, place: Some(place), last_id: None, is_shared: at < last });
            }
        }
        Ok(Tail { last, marker, place: None, last_id: None, is_shared: first < last })
    }

    /// Makes the end of a stream with no events behind the consumer's marker.
    fn at_marker(
        connection: &Connection,
        last: u64,
        marker: Option<(u64, Marker)>,
        owner: &Owner,
    ) -> Result<Tail, BoxError> {
        let is_last = marker.as_ref().is_some_and(|(sequence, _)| *sequence == last);
        let other = if is_last || last == 0 { None } else { connection.message(last)? };
        let is_own = |message: &StreamMessage| {
            message.subject.as_str() == owner.subject || Place::of(&message.headers, owner).is_some()
        };
        if marker.is_some() && other.as_ref().is_some_and(is_own) {
            // By another process, or in the reply of a former leader.
            return Err(owner.located("the position has changed while it was read".into()));
        }
        Ok(Tail { last, marker, place: None, last_id: None, is_shared: other.is_some() })
    }

    /// Makes the end of a stream where only the position is to be replaced.
    pub(super) fn without_marker(connection: &Connection) -> Result<Tail, BoxError> {
        let last = connection.last_sequence()?;
        Ok(Tail { last, marker: None, place: None, last_id: None, is_shared: false })
    }

    /// Makes the end of a stream whose last message is a marker.
    pub(super) fn behind(last: u64, marker: Marker) -> Tail {
        Tail { last, marker: Some((last, marker)), place: None, last_id: None, is_shared: false }
    }

    /// Returns the sequence of the position, 0 if there is none, unless messages that were sent one by one may be behind it.
    pub(super) fn position_sequence(&self) -> Option<u64> {
        match &self.marker {
            None => Some(0),
            Some((_, Marker::OneByOne(position))) if !position.is_complete => None,
            Some((sequence, _)) => self.place.is_none().then_some(*sequence),
        }
    }

    /// Returns whether another writer has stored the stream's last message.
    pub(super) fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Returns the consumer's position.
    pub(super) fn marker(&self) -> Option<Marker> {
        let (_, marker) = self.marker.as_ref()?;
        match (marker.position(), self.place) {
            (Some(position), Some(place)) => {
                let (events, last_event) = (place.number, Some(place.id));
                Some(Marker::OneByOne(Position { events, last_event, ..position.clone() }))
            }
            _ => Some(marker.clone()),
        }
    }

    /// Makes the messages of a part of a batch: the position before the part, the events, and the position behind the part
    /// unless the place of the last event is that position.
    ///
    /// Each part begins with a position of its own. An atomic batch of another process, which depends on the last position
    /// alone, is therefore refused from then on.
    pub(super) fn messages(
        &self,
        part: &[Event],
        marker: &Marker,
        (options, owner): (&Options, &Owner),
    ) -> Part {
        let mut messages = Vec::with_capacity(part.len() + 2);
        let (mut start, mut place) = (None, None);
        if let (Some(next), false) = (marker.position(), part.is_empty()) {
            let before = Marker::OneByOne(self.position_before(next));
            let (mut number, at) = (before.position().map_or(0, |before| before.events), self.last + 1);
            messages.push(Message::of_marker(&owner.subject, &before));
            for event in part {
                number += 1;
                let mut message = Message::of_event(event, options);
                let of_event = Place { marker: at, number, id: event.id() };
                message.headers.insert(POSITION, of_event.text(owner).as_str());
                messages.push(message);
                place = Some(of_event);
            }
            start = Some((at, before));
        }
        let is_known = marker
            .position()
            .zip(place)
            .is_some_and(|(next, place)| !next.is_complete && next.events == place.number);
        if is_known {
            return Part { messages, end: start, place };
        }
        messages.push(Message::of_marker(&owner.subject, marker));
        let end = Some((self.last + messages.len() as u64, marker.clone()));
        Part { messages, end, place: None }
    }

    /// Sends such messages, which may be behind others that are not stored yet.
    pub(super) fn send(&mut self, connection: &Connection, part: Part) -> Result<Pending, BoxError> {
        let Part { mut messages, end, place } = part;
        let last_id = Some(self.chain(&connection.unique_id(), &mut messages));
        let last = self.last + messages.len() as u64;
        let pending = connection.replies(Way::OneByOne, messages.len())?;
        connection.send(messages, &pending)?;
        *self = Tail { last, marker: end, place, last_id, is_shared: false };
        Ok(pending)
    }

    /// Notes that all messages are stored. A server that is restarted may have no id of the last one.
    pub(super) fn settle(&mut self) {
        self.last_id = None;
    }

    /// Returns the position before the next part of a batch.
    fn position_before(&self, next: &Position) -> Position {
        let last = self.marker();
        match last.as_ref().and_then(Marker::position).filter(|last| last.is_in_batch_of(next)) {
            Some(last) => last.clone(),
            None => Position {
                events: 0,
                last_event: None,
                is_complete: false,
                failed: Vec::new(),
                ..next.clone()
            },
        }
    }

    /// Makes each message depend on the one before it, and returns the id of the last one.
    fn chain(&self, prefix: &str, messages: &mut [Message]) -> String {
        let mut before = self.last_id.clone();
        for (at, message) in messages.iter_mut().enumerate() {
            message.has_reply = true;
            match before {
                Some(id) => message.headers.insert(header::NATS_EXPECTED_LAST_MESSAGE_ID, id.as_str()),
                None => message.headers.insert(header::NATS_EXPECTED_LAST_SEQUENCE, self.last.to_string()),
            }
            let id = format!("{prefix}-{at}");
            message.headers.insert(header::NATS_MESSAGE_ID, id.as_str());
            before = Some(id);
        }
        before.unwrap_or_default()
    }
}

impl Place {
    fn text(self, owner: &Owner) -> String {
        format!("{} {} {} {}", self.marker, self.number, self.id, escaped(&owner.consumer))
    }

    /// Returns the place in the headers of a message of this consumer.
    fn of(headers: &HeaderMap, owner: &Owner) -> Option<Place> {
        let mut words = headers.get(POSITION)?.as_str().split(' ');
        let place = Place {
            marker: words.next()?.parse().ok()?,
            number: words.next()?.parse().ok()?,
            id: words.next()?.parse().ok()?,
        };
        (words.next()? == escaped(&owner.consumer)).then_some(place)
    }
}

fn parsed(message: &StreamMessage, owner: &Owner) -> Result<(u64, Marker), BoxError> {
    let marker = Marker::parse(&message.payload).map_err(|error| owner.located(error))?;
    Ok((message.sequence, marker))
}
