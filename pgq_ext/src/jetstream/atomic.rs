//! Storing a part as one atomic batch, all its messages or none.

use async_nats::header;
use pgq::{BoxError, Event};

use super::Options;
use super::connection::{Connection, Pending, Replies};
use super::marker::Marker;
use super::message::Message;

/// The most messages of an atomic batch that servers allow.
pub(super) const MAX_MESSAGES: usize = 1_000;

/// Makes the messages of a part of a batch and of the position behind it, which is a message of this subject.
pub(super) fn messages(
    part: &[Event],
    marker: &Marker,
    (options, subject): (&Options, &str),
) -> Vec<Message> {
    let mut messages = Vec::with_capacity(part.len() + 1);
    messages.extend(part.iter().map(|event| Message::of_event(event, options)));
    messages.push(Message::of_marker(subject, marker));
    messages
}

/// Sends such messages, to be stored if the last message of the position's subject has this sequence, 0 for none.
pub(super) fn send(
    connection: &Connection,
    mut messages: Vec<Message>,
    sequence: u64,
) -> Result<Pending, BoxError> {
    if let Some(position) = messages.last_mut() {
        expect(position, sequence);
    }
    send_all(connection, messages)
}

/// Makes an atomic batch of messages and sends it.
pub(super) fn send_all(connection: &Connection, mut messages: Vec<Message>) -> Result<Pending, BoxError> {
    let (id, count) = (connection.unique_id(), messages.len());
    for (at, message) in messages.iter_mut().enumerate() {
        message.set_batch(&id, at + 1, at + 1 == count);
    }
    connection.send_all(messages, Replies::Ends)
}

/// Makes a message depend on the sequence of the last message of its subject, 0 for none.
pub(super) fn expect(message: &mut Message, sequence: u64) {
    message.headers.insert(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, sequence.to_string().as_str());
}
