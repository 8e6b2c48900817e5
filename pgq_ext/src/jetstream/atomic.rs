//! Storing a part as one atomic batch, all its messages or none.

use async_nats::header;
use pgq::{BoxError, Event};

use super::Options;
use super::connection::{Connection, Pending, Way};
use super::marker::Marker;
use super::message::Message;

/// The most messages of an atomic batch that servers allow.
pub(super) const MAX_MESSAGES: usize = 1_000;

/// A batch whose events are sent. The server stores it when its last message arrives, the position behind the part.
pub(super) struct Staged {
    pending: Pending,
    position: Message,
}

impl Staged {
    /// Sends the events of a part. The position will be a message of this subject.
    pub(super) fn send(
        connection: &Connection,
        part: &[Event],
        marker: &Marker,
        (options, subject): (&Options, &str),
    ) -> Result<Staged, BoxError> {
        let id = connection.unique_id();
        let mut messages = Vec::with_capacity(part.len());
        messages.extend(part.iter().map(|event| Message::of_event(event, options)));
        for (at, message) in messages.iter_mut().enumerate() {
            message.set_batch(&id, at + 1, false);
        }
        // The server's reply to the first message is empty, or the reason of a refusal.
        if let Some(first) = messages.first_mut() {
            first.has_reply = true;
        }
        let mut position = Message::of_marker(subject, marker);
        position.set_batch(&id, part.len() + 1, true);
        position.has_reply = true;
        let pending = connection.replies(Way::AtomicBatch, 1)?;
        connection.send(messages, &pending)?;
        Ok(Staged { pending, position })
    }

    /// Sends the position: all is stored if the last message of its subject has this sequence, 0 for none.
    pub(super) fn commit(mut self, connection: &Connection, sequence: u64) -> Result<Pending, BoxError> {
        expect(&mut self.position, sequence);
        connection.send(vec![self.position], &self.pending)?;
        Ok(self.pending)
    }
}

/// Stores messages as a batch.
pub(super) fn send_all(connection: &Connection, mut messages: Vec<Message>) -> Result<Pending, BoxError> {
    let (id, count) = (connection.unique_id(), messages.len());
    for (at, message) in messages.iter_mut().enumerate() {
        message.set_batch(&id, at + 1, at + 1 == count);
        message.has_reply = at == 0 || at + 1 == count;
    }
    let pending = connection.replies(Way::AtomicBatch, 1)?;
    connection.send(messages, &pending)?;
    Ok(pending)
}

/// Makes a message depend on the sequence of the last message of its subject, 0 for none.
pub(super) fn expect(message: &mut Message, sequence: u64) {
    message.headers.insert(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, sequence.to_string().as_str());
}
