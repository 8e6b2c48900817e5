//! Storing a part as one atomic batch, all its messages or none.

use async_nats::header;
use pgq::{BoxError, Event};

use super::Options;
use super::connection::{Connection, Pending, Replies};
use super::marker::Marker;
use super::message::Message;
use super::owner::Owner;

/// The most messages of an atomic batch that servers allow.
pub(super) const MAX_MESSAGES: usize = 1_000;

/// Makes the messages of a part of a batch and of the position behind it.
pub(super) fn messages(
    part: &[Event],
    marker: &Marker,
    (options, owner): (&Options, &Owner),
) -> Vec<Message> {
    let mut messages = Vec::with_capacity(part.len() + 1);
    messages.extend(part.iter().map(|event| Message::of_event(event, options)));
    messages.push(Message::of_marker(&owner.subject, marker));
    messages
}

/// Sends such messages, to be stored if the consumer's last position has this sequence, 0 for none.
pub(super) fn send(
    connection: &Connection,
    mut messages: Vec<Message>,
    sequence: u64,
) -> Result<Pending, BoxError> {
    let (id, count) = (connection.unique_id(), messages.len());
    for (at, message) in messages.iter_mut().enumerate() {
        message.set_batch(&id, at + 1, at + 1 == count);
    }
    if let Some(position) = messages.last_mut() {
        position.headers.insert(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, sequence.to_string().as_str());
    }
    connection.send_all(messages, Replies::Ends)
}
