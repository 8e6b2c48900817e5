//! The records of several subconsumers in a stream.
//!
//! The ranges of the consumer are messages on the position's subject. The record of a batch is on a subject below it, with the
//! number of the tick at which the batch starts.

use pgq::BoxError;

use super::connection::Connection;
use super::marker::Marker;
use super::message::Message;
use super::store::{Guard, NOT_CONNECTED};
use super::{JetStream, atomic, subject};
use crate::sink::{Position, Ranges, TeamSink, TickRange};

/// The state of the stream that a subconsumer has read.
#[derive(Default)]
pub(super) struct Team {
    /// Whether this process is a subconsumer.
    pub(super) is_member: bool,
    /// The sequence of the message with the ranges, or with the position that stands for them.
    ranges: Option<u64>,
    /// The subject of the record of the batch that is being applied.
    pub(super) record: Option<String>,
    /// The sequence of a record that was selected, until a part is applied.
    pub(super) selected: Option<u64>,
}

impl Team {
    /// Discards the state that was read.
    pub(super) fn clear(&mut self) {
        (self.ranges, self.record, self.selected) = (None, None, None);
    }
}

impl JetStream {
    fn connected(&self) -> Result<&Connection, BoxError> {
        self.connection.as_ref().ok_or_else(|| NOT_CONNECTED.into())
    }

    fn read_ranges(&mut self) -> Result<Ranges, BoxError> {
        let marker = self.read()?.ok_or_else(|| self.owner.lost())?;
        let Some(Guard::Position(sequence)) = self.guard.take() else {
            return Err(self.owner.located("the stream has no atomic batches any more".into()));
        };
        self.team.ranges = Some(sequence);
        match marker {
            Marker::Ranges(ranges) => Ok(ranges),
            Marker::Forgotten => Ok(Ranges::default()),
            Marker::At(position) | Marker::OneByOne(position) => self.take_position(&position),
        }
    }

    /// Makes ranges of the position of a consumer without subconsumers. A part of a batch gets a record, and from then on the
    /// stream refuses a process that still applies the batch alone.
    fn take_position(&mut self, position: &Position) -> Result<Ranges, BoxError> {
        let ranges = Ranges::of_position(position);
        if position.is_complete {
            return Ok(ranges);
        }
        match self.store_record(&ranges, position)? {
            true => self.read_ranges(),
            false => Err(self.owner.located("the position has changed while it was read".into())),
        }
    }

    /// Stores ranges, and another message unless it is `None`, if the ranges have not changed. Returns the sequence of the last
    /// message.
    fn store_ranges(&mut self, ranges: &Ranges, record: Option<Message>) -> Result<Option<u64>, BoxError> {
        let sequence = self.team.ranges.take().ok_or("the ranges are not read")?;
        let mut message = Message::of_marker(&self.owner.subject, &Marker::Ranges(ranges.clone()));
        atomic::expect(&mut message, sequence);
        let messages = [Some(message), record].into_iter().flatten().collect();
        let connection = self.connected()?;
        connection.sequence_unless_refused(atomic::send_all(connection, messages)?)
    }

    fn store_record(&mut self, ranges: &Ranges, record: &Position) -> Result<bool, BoxError> {
        let subject = subject::of_record(&self.owner.subject, record.start.tick);
        let message = Message::of_marker(&subject, &Marker::At(record.clone()));
        let Some(sequence) = self.store_ranges(ranges, Some(message))? else { return Ok(false) };
        self.guard = Some(Guard::Position(sequence));
        (self.team.record, self.team.selected) = (Some(subject), Some(sequence));
        Ok(true)
    }

    fn read_record(&mut self, batch: &TickRange) -> Result<Option<Position>, BoxError> {
        self.settle()?;
        self.connect()?;
        let subject = subject::of_record(&self.owner.subject, batch.start.tick);
        let Some(found) = self.connected()?.last_message(&subject)? else { return Ok(None) };
        let marker = Marker::parse(&found.payload).map_err(|error| self.owner.located(error))?;
        self.guard = Some(Guard::Position(found.sequence));
        (self.team.record, self.team.selected) = (Some(subject), Some(found.sequence));
        Ok(marker.position().cloned())
    }

    fn remove_record(&mut self, ranges: &Ranges, batch: &TickRange) -> Result<bool, BoxError> {
        let subject = subject::of_record(&self.owner.subject, batch.start.tick);
        self.guard = None;
        self.team.record = None;
        // The record may have been read from a former leader of the stream.
        let last = self.team.selected.take().map(|sequence| {
            let mut message = Message::of_marker(&subject, &Marker::Forgotten);
            atomic::expect(&mut message, sequence);
            message
        });
        let Some(sequence) = self.store_ranges(ranges, last)? else { return Ok(false) };
        // A later record of a batch of this tick is behind the ranges.
        self.connected()?.remove(&subject, sequence)?;
        Ok(true)
    }

    /// Removes all records up to a sequence.
    pub(super) fn remove_records(&self, sequence: u64) -> Result<(), BoxError> {
        let records = subject::of_records(&self.owner.subject);
        let connection = self.connected()?;
        match connection.subjects(&records)?.is_empty() {
            true => Ok(()),
            false => connection.remove(&records, sequence),
        }
    }

    /// Checks the stream, and removes the records of closed batches that a process which was killed has left.
    fn start(&mut self) -> Result<(), BoxError> {
        self.connect()?;
        let (connection, owner) = (self.connected()?, &self.owner);
        connection.require_records(&owner.subject)?;
        let Some(found) = connection.last_message(&owner.subject)? else { return Ok(()) };
        let Ok(Marker::Ranges(ranges)) = Marker::parse(&found.payload) else { return Ok(()) };
        let open = ranges.open().iter().map(|open| subject::of_record(&owner.subject, open.start.tick));
        let open: Vec<String> = open.collect();
        for record in connection.subjects(&subject::of_records(&owner.subject))? {
            if !open.contains(&record) {
                connection.remove(&record, found.sequence)?;
            }
        }
        Ok(())
    }
}

impl TeamSink for JetStream {
    fn join(&mut self) -> Result<(), BoxError> {
        self.team.is_member = true;
        let started = self.start();
        self.checked(started)
    }

    fn ranges(&mut self) -> Result<Ranges, BoxError> {
        let read = self.read_ranges();
        self.checked(read)
    }

    fn open_record(&mut self, ranges: &Ranges, record: &Position) -> Result<bool, BoxError> {
        let stored = self.store_record(ranges, record);
        self.checked(stored)
    }

    fn select_record(&mut self, batch: &TickRange) -> Result<Option<Position>, BoxError> {
        let read = self.read_record(batch);
        self.checked(read)
    }

    fn close_record(&mut self, ranges: &Ranges, batch: &TickRange) -> Result<bool, BoxError> {
        let removed = self.remove_record(ranges, batch);
        self.checked(removed)
    }
}
