//! Storing a part as one atomic batch, all its messages or none.

use async_nats::header;
use pgq::{BoxError, Event};

use super::connection::{Connection, Replies};
use super::marker::Marker;
use super::message::Message;
use super::{Options, Owner};

/// The most messages of an atomic batch that servers allow.
pub(super) const MAX_MESSAGES: usize = 1_000;

/// Stores a part of a batch and the position behind it, if the consumer's last position has this sequence, 0 for none.
/// Returns the sequence of the new one.
pub(super) fn store(
    connection: &Connection,
    part: &[Event],
    (marker, sequence): (&Marker, u64),
    (options, owner): (&Options, &Owner),
) -> Result<u64, BoxError> {
    let mut messages = Vec::with_capacity(part.len() + 1);
    messages.extend(part.iter().map(|event| Message::of_event(event, options)));
    let mut position = Message::of_marker(&owner.subject, marker);
    position.headers.insert(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, sequence.to_string().as_str());
    messages.push(position);
    let (id, count) = (connection.unique_id(), messages.len());
    for (at, message) in messages.iter_mut().enumerate() {
        message.set_batch(&id, at + 1, at + 1 == count);
    }
    connection.store(messages, Replies::Ends)
}
