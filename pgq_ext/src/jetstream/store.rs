//! Reading the position and storing parts of batches.

use pgq::{BoxError, Event};

use super::atomic::{self, Staged};
use super::connection::Connection;
use super::marker::Marker;
use super::message::{self, Message};
use super::one_by_one::Tail;
use super::owner::Owner;
use super::{JetStream, TooLarge};
use crate::sink::{Limits, Position, Sink};

pub(super) const NOT_CONNECTED: &str = "the client is not connected";
const NOT_READ: &str = "the position is not read";
/// The most parts whose messages are sent one by one and not stored yet.
const MAX_PENDING: usize = 2;
/// The most bytes of headers that storing a message adds, besides the consumer's name.
const MORE_HEADERS: usize = 256;

/// The state of the stream on which the next write depends.
pub(super) enum Guard {
    /// The sequence of the position's message, 0 if there is none, for atomic batches.
    Position(u64),
    /// The same, for the rest of a batch of several parts. The next batch depends on the end of the stream.
    Bulk(u64),
    /// The end of the stream, for messages one by one.
    Tail(Tail),
}

impl JetStream {
    /// Returns the connection, which is opened unless it is usable.
    pub(super) fn connect(&mut self) -> Result<&Connection, BoxError> {
        if self.connection.as_ref().is_none_or(Connection::is_unusable) {
            self.connection = None;
            self.connection = Some(Connection::open(&self.options, &self.owner.subject)?);
        }
        self.connection.as_ref().ok_or_else(|| NOT_CONNECTED.into())
    }

    /// Returns the message that the consumer has stored last, and remembers the state on which the next write depends.
    pub(super) fn read(&mut self) -> Result<Option<Marker>, BoxError> {
        // Parts in flight could still change the position.
        self.settle()?;
        self.connect()?;
        let (connection, owner) = (self.connection.as_ref().ok_or(NOT_CONNECTED)?, &self.owner);
        let found = connection.last_message(&owner.subject)?;
        let sequence = found.as_ref().map_or(0, |message| message.sequence);
        let marker = found.map(|message| Marker::parse(&message.payload)).transpose();
        let marker = marker.map_err(|error| owner.located(error))?;
        let is_within = matches!(&marker, Some(Marker::OneByOne(position)) if !position.is_complete);
        let has_batches = connection.has_atomic_batches();
        let is_final = match &marker {
            Some(Marker::At(position)) => position.is_complete,
            Some(Marker::Ranges(_)) => true,
            _ => false,
        };
        let wants_batches = self.team.is_member || connection.needs_atomic_batches() || is_final;
        if has_batches && wants_batches && !is_within {
            self.guard = Some(Guard::Position(sequence));
            return Ok(marker);
        }
        let tail = Tail::read(connection, owner)?;
        let marker = tail.marker();
        let wants_batches = wants_batches || tail.is_shared();
        self.guard = Some(match &marker {
            _ if !has_batches => Guard::Tail(tail),
            Some(Marker::OneByOne(position)) if wants_batches && !position.is_complete => {
                // From here on the position alone counts.
                let position = Marker::At(position.clone());
                let part = tail.messages(&[], &position, (&self.options, owner));
                let pending = { tail }.send(connection, part)?;
                Guard::Position(connection.sequence(pending)?)
            }
            _ if wants_batches => Guard::Position(sequence),
            Some(Marker::At(_)) => Guard::Bulk(sequence),
            _ => Guard::Tail(tail),
        });
        Ok(marker)
    }

    /// Sends the messages of events and the consumer's position, while the parts before are being stored.
    fn send(&mut self, part: &[Event], marker: &Marker) -> Result<(), BoxError> {
        if self.pending.is_empty() {
            self.connect()?;
        }
        let (options, owner) = (&self.options, &self.owner);
        let connection = self.connection.as_ref().ok_or(NOT_CONNECTED)?;
        let staged = match self.guard.as_mut().ok_or(NOT_READ)? {
            Guard::Position(_) | Guard::Bulk(_) => {
                let subject = self.team.record.as_deref().unwrap_or(&owner.subject);
                Staged::send(connection, part, marker, (options, subject))?
            }
            Guard::Tail(tail) => {
                let part = tail.messages(part, marker, (options, owner));
                let pending = tail.send(connection, part)?;
                self.pending.push_back(pending);
                return self.settle_beyond(MAX_PENDING);
            }
        };
        self.settle()?;
        let connection = self.connection.as_ref().ok_or(NOT_CONNECTED)?;
        let Some(Guard::Position(sequence) | Guard::Bulk(sequence)) = self.guard else {
            return Err(NOT_READ.into());
        };
        self.pending.push_back(staged.commit(connection, sequence)?);
        Ok(())
    }

    /// Uses atomic batches for a batch of several parts, if the stream has them. They save the replies to most messages.
    fn begin_bulk(&mut self) {
        let has_batches = self.connection.as_ref().is_some_and(Connection::has_atomic_batches);
        if has_batches
            && let Some(Guard::Tail(tail)) = &self.guard
            && let Some(sequence) = tail.position_sequence()
        {
            self.guard = Some(Guard::Bulk(sequence));
        }
    }

    /// Returns to the end of the stream, which is this marker.
    fn end_bulk(&mut self, marker: Marker) {
        if let Some(Guard::Bulk(sequence)) = self.guard {
            self.guard = Some(Guard::Tail(Tail::behind(sequence, marker)));
        }
    }

    /// Waits until all parts that were sent are stored.
    pub(super) fn settle(&mut self) -> Result<(), BoxError> {
        self.settle_beyond(0)?;
        if let Some(Guard::Tail(tail)) = &mut self.guard {
            tail.settle();
        }
        Ok(())
    }

    /// Waits until no more than this number of parts is not stored.
    fn settle_beyond(&mut self, most: usize) -> Result<(), BoxError> {
        while self.pending.len() > most {
            let Some(pending) = self.pending.pop_front() else { break };
            let sequence = self.connection.as_ref().ok_or(NOT_CONNECTED)?.sequence(pending)?;
            if let Some(Guard::Position(last) | Guard::Bulk(last)) = &mut self.guard {
                *last = sequence;
            }
        }
        Ok(())
    }

    fn store_forgotten(&mut self) -> Result<(), BoxError> {
        self.settle()?;
        self.team.clear();
        self.connect()?;
        let connection = self.connection.as_ref().ok_or(NOT_CONNECTED)?;
        // A message that is not a position is forgotten too.
        self.guard = Some(if connection.has_atomic_batches() {
            let last = connection.last_message(&self.owner.subject)?;
            Guard::Position(last.map_or(0, |message| message.sequence))
        } else {
            Guard::Tail(Tail::without_marker(connection)?)
        });
        self.send(&[], &Marker::Forgotten)?;
        self.settle()?;
        match self.guard {
            Some(Guard::Position(sequence)) => self.remove_records(sequence),
            _ => Ok(()),
        }
    }

    fn disconnect(&mut self) {
        (self.connection, self.guard) = (None, None);
        self.pending.clear();
        self.team.clear();
    }

    /// Drops the connection after an error, so that nothing that it has buffered is sent later.
    pub(super) fn checked<T>(&mut self, result: Result<T, BoxError>) -> Result<T, BoxError> {
        if result.is_err() {
            self.disconnect();
        }
        result
    }

    /// Returns why the message of an event is too large.
    fn excess(&mut self, event: &Event) -> Result<Option<String>, BoxError> {
        let more = MORE_HEADERS + 3 * self.owner.consumer.len();
        let (columns, all) = message::sizes(event);
        let subject = self.options.subject.longest(columns);
        if self.connect()?.limits().is_small(subject, columns, all + more) {
            return Ok(None);
        }
        let message = Message::of_event(event, &self.options);
        Ok(self.connect()?.limits().excess(&message, more))
    }
}

impl Sink for JetStream {
    /// Connects, and checks server and stream.
    fn startup(&mut self, consumer: &str) -> Result<(), BoxError> {
        self.owner = Owner::of(consumer, &self.options);
        self.disconnect();
        self.connect().map(|_| ())
    }

    /// Fails with [`ErrorKind::LostPosition`](crate::ErrorKind::LostPosition) if the stream has neither a position nor the
    /// note that it was forgotten.
    fn position(&mut self) -> Result<Option<Position>, BoxError> {
        let read = self.read();
        match self.checked(read)? {
            Some(Marker::At(position) | Marker::OneByOne(position)) => Ok(Some(position)),
            Some(Marker::Forgotten) => Ok(None),
            Some(Marker::Ranges(ranges)) => ranges.position().map_err(|error| self.owner.located(error)),
            None => Err(self.owner.lost()),
        }
    }

    fn apply(&mut self, part: &[Event], position: &Position) -> Result<(), BoxError> {
        self.team.selected = None;
        if !position.is_complete {
            self.begin_bulk();
        }
        let position_after = position.clone();
        let marker = match self.guard {
            Some(Guard::Tail(_)) => Marker::OneByOne(position_after),
            Some(Guard::Bulk(_)) if position.is_complete => Marker::OneByOne(position_after),
            _ => Marker::At(position_after),
        };
        let mut sent = self.send(part, &marker);
        // Until the batch ends, events are read while a part is being stored.
        if sent.is_ok() && position.is_complete {
            sent = self.settle();
            self.end_bulk(marker);
        }
        self.checked(sent)
    }

    /// Refuses an event whose message would be larger than server or stream allow.
    fn refuses(&mut self, event: &Event) -> Result<Option<String>, BoxError> {
        let excess = self.excess(event);
        match (self.checked(excess)?, self.options.too_large) {
            (Some(why), TooLarge::Stop) => {
                let what = format!("stream `{}`: event {}", self.owner.stream, event.id());
                Err(dbscript::Error::failed(what).caused_by(why).into())
            }
            (excess, _) => Ok(excess),
        }
    }

    /// Stores a note that there is no position, so that a removed position is not mistaken for a forgotten one.
    fn forget(&mut self) -> Result<(), BoxError> {
        let stored = self.store_forgotten();
        // The next write reads the state again.
        self.guard = None;
        self.checked(stored)
    }

    /// Leaves one message of an atomic batch to the position.
    fn limits(&self) -> Limits {
        Limits { events: atomic::MAX_MESSAGES - 1, ..Limits::default() }
    }
}
