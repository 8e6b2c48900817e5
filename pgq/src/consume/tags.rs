//! The events of a batch that are not just done: to be retried, or given up.

use crate::sql::batch::holder;
use std::collections::BTreeMap;
use std::time::Duration;

use dbscript::param::{bytea_array, int4_array, int8_array};
use dbscript::{BoxError, sqlstate};
use postgres::error::SqlState;
use postgres::types::{ToSql, Type};

use crate::consume::finish::BatchTransaction;
use crate::consume::holder::{self, BatchHolder};
use crate::error::Error;
use crate::event::stored_event::{Event, Mark};

/// With so many tags they are sent, so that a batch of nothing but retries does not fill the memory. Each sending
/// costs the server a look through the batch.
const MOST: usize = 1 << 20;
/// As [`MOST`], of the reasons' text, in bytes.
const MOST_TEXT: usize = 16 << 20;

/// Tags of a batch's events that were not sent yet. Of several tags of an event the last one counts, unless an
/// earlier one was sent: the server leaves alone what is there already.
///
/// They are sent in the batch's transaction. With autocommit there is none, so what is sent before the end stays when
/// the batch comes again. Where the server takes them one by one, as
/// the bare extension does, all wait for the end then: retries, which are small.
#[derive(Default)]
pub(crate) struct Tags {
    /// Events and seconds.
    pub(crate) retries: BTreeMap<Tagged, i32>,
    /// Events and reasons.
    pub(crate) failures: BTreeMap<Tagged, String>,
    text: usize,
    /// How many were sent.
    sent_retries: u64,
    sent_failures: u64,
}

/// An event's id, and what distinguishes it from others of that id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tagged {
    pub(crate) id: i64,
    mark: Mark,
}

impl Tagged {
    pub(crate) fn new(event: &Event) -> Tagged {
        Tagged { id: event.id(), mark: event.mark() }
    }

    /// Makes that of an event that no server has.
    pub(crate) fn of_test(id: i64) -> Tagged {
        Tagged { id, mark: Mark::default() }
    }
}

/// $1 to $5 as in [`HAS_BATCH`], $6 event ids, $7 seconds. A row for each event, or none: the batch is not this
/// consumer's. Null where the batch has several events of the id, of which the function would take any one.
const RETRY_EACH: &str = concat!(
    "with held as materialized (select sub_batch as batch from ",
    holder!(),
    "), several as materialized ( \
         select ev_id from (select distinct ev_id, ev_time, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4 \
             from held cross join lateral pgq.get_batch_events(batch) where ev_id = any ($6::pg_catalog.int8[])) different \
         group by ev_id having pg_catalog.count(*) > 1) \
     select case when event not in (select ev_id from several) then pgq.event_retry(batch, event, seconds) end \
     from held cross join rows from (pg_catalog.unnest($6::pg_catalog.int8[]), pg_catalog.unnest($7::pg_catalog.int4[])) \
         as tagged (event, seconds)"
);

/// $1 to $5 as in [`HAS_BATCH`], $6 event ids, $7 seconds, $8 marks of the events, as [`Event::mark`](crate::Event)
/// makes them. No row: the batch is not this consumer's.
const RETRY_MANY: &str = concat!("select pgq.event_retry_many(sub_batch, $6, $7, $8) from ", holder!());

/// $1 to $5 as in [`HAS_BATCH`], $6 event ids, $7 reasons, $8 marks as in [`RETRY_MANY`]. No row: the batch is not this
/// consumer's.
const FAIL_MANY: &str = concat!("select pgq.event_failed_many(sub_batch, $6, $7, $8) from ", holder!());

/// What failed, for errors.
const NOT_RETRIED: &str = "cannot tag events for retry";

impl Tags {
    pub(crate) fn retry(&mut self, event: Tagged, delay: Duration) {
        self.unfail(event);
        self.retries.insert(event, whole_seconds(delay));
    }

    pub(crate) fn fail(&mut self, event: Tagged, reason: String) {
        self.unfail(event);
        self.retries.remove(&event);
        // No text on the server holds a NUL.
        let reason = reason.replace('\0', "\u{fffd}");
        self.text += reason.len();
        self.failures.insert(event, reason);
    }

    fn unfail(&mut self, event: Tagged) {
        self.text -= self.failures.remove(&event).map_or(0, |reason| reason.len());
    }

    /// Returns how many events were tagged for retry so far.
    pub(crate) fn retried(&self) -> u64 {
        self.sent_retries + self.retries.len() as u64
    }

    /// Returns how many events were tagged as failed so far.
    pub(crate) fn failed(&self) -> u64 {
        self.sent_failures + self.failures.len() as u64
    }

    /// Returns whether it is time to send.
    pub(crate) fn are_many(&self) -> bool {
        self.retries.len() + self.failures.len() >= MOST || self.text >= MOST_TEXT
    }

    /// Sends the tags of a batch, and keeps them until [`forget_sent`](Tags::forget_sent).
    ///
    /// `tags_many`: the server has the functions that tag many events in one call.
    pub(crate) async fn send(
        &self,
        transaction: &mut impl BatchTransaction,
        holder: &BatchHolder,
        tags_many: bool,
    ) -> Result<(), Error> {
        if !self.retries.is_empty() {
            match tags_many {
                true => {
                    let failed = |error: BoxError| Error::failed(NOT_RETRIED).caused_by(error);
                    let retries = &self.retries;
                    send_many(transaction, holder, RETRY_MANY, retries, Type::INT4_ARRAY, failed).await
                }
                false => self.retry_each(transaction, holder).await,
            }?;
        }
        if !self.failures.is_empty() {
            send_many(transaction, holder, FAIL_MANY, &self.failures, Type::TEXT_ARRAY, not_failed).await?;
        }
        Ok(())
    }

    /// Tags events for retry with the extension's function alone.
    async fn retry_each(
        &self,
        transaction: &mut impl BatchTransaction,
        holder: &BatchHolder,
    ) -> Result<(), Error> {
        let (ids, seconds): (Vec<i64>, Vec<i32>) =
            self.retries.iter().map(|(event, seconds)| (event.id, *seconds)).unzip();
        let mut values = holder.values().to_vec();
        values.extend([int8_array(&ids), int4_array(&seconds)]);
        let failed = |error: BoxError| Error::failed(NOT_RETRIED).caused_by(error);
        let answers = transaction.answers(RETRY_EACH, &values).await.map_err(failed)?;
        if answers.is_empty() {
            return Err(holder::gone());
        }
        for (id, (scheduled, _)) in ids.iter().zip(answers) {
            let why = match scheduled {
                Some(0) => {
                    "another event with this id is already scheduled for a retry; the batch is delivered again, and \
                     succeeds when that event has returned"
                }
                Some(_) => continue,
                None => {
                    "the batch holds several events with this id; `pgqadm CONFIG.ini install` or \
                     `pgq::schema::install` adds the functions that distinguish them"
                }
            };
            return Err(Error::failed(format!("{NOT_RETRIED}: {why}")).at_event(*id));
        }
        Ok(())
    }

    /// Forgets what was sent, but for how many they were.
    pub(crate) fn forget_sent(&mut self) {
        *self = Tags { sent_retries: self.retried(), sent_failures: self.failed(), ..Tags::default() };
    }
}

/// Sends tags with a statement for many events.
async fn send_many<T: ToSql + Sync>(
    transaction: &mut impl BatchTransaction,
    holder: &BatchHolder,
    statement: &str,
    tags: &BTreeMap<Tagged, T>,
    array: Type,
    failed: impl FnOnce(BoxError) -> Error,
) -> Result<(), Error> {
    let ids: Vec<i64> = tags.keys().map(|event| event.id).collect();
    let marks: Vec<&[u8]> = tags.keys().map(|event| &event.mark[..]).collect();
    let tags: Vec<&T> = tags.values().collect();
    let mut values = holder.values().to_vec();
    values.extend([int8_array(&ids), (&tags as _, array), bytea_array(&marks)]);
    let answers = transaction.answers(statement, &values).await.map_err(failed)?;
    if answers.is_empty() { Err(holder::gone()) } else { Ok(()) }
}

fn not_failed(error: BoxError) -> Error {
    let what = "cannot tag events as failed";
    match sqlstate(&*error) {
        Some(&SqlState::UNDEFINED_FUNCTION) => Error::missing(format!(
            "{what}: failed events are not installed, or by an older release; `pgqadm CONFIG.ini install` or \
             `pgq::schema::install` installs them"
        )),
        _ => Error::failed(what),
    }
    .caused_by(error)
}

/// Rounds up: an event must not come back too early.
fn whole_seconds(delay: Duration) -> i32 {
    let seconds = delay.as_secs().saturating_add(u64::from(delay.subsec_nanos() > 0));
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_tag_of_an_event_counts() {
        let mut tags = Tags::default();
        tags.retry(Tagged::of_test(1), Duration::from_secs(5));
        tags.retry(Tagged::of_test(2), Duration::from_millis(1500));
        tags.fail(Tagged::of_test(2), "no".to_owned());
        tags.fail(Tagged::of_test(3), "no".to_owned());
        tags.retry(Tagged::of_test(3), Duration::MAX);
        tags.fail(Tagged::of_test(1), "no".to_owned());
        tags.retry(Tagged::of_test(1), Duration::from_secs(5));
        assert_eq!(tags.retries, [(Tagged::of_test(1), 5), (Tagged::of_test(3), i32::MAX)].into());
        assert_eq!(tags.failures, [(Tagged::of_test(2), "no".to_owned())].into());
        assert_eq!((tags.retried(), tags.failed(), tags.text), (2, 1, 2));
        tags.forget_sent();
        tags.retry(Tagged::of_test(4), Duration::ZERO);
        assert_eq!((tags.retried(), tags.failed(), tags.text), (3, 1, 0));
        assert_eq!(whole_seconds(Duration::from_millis(1500)), 2);
    }

    #[test]
    fn many_tags_and_long_reasons_are_sent_before_the_end() {
        let mut tags = Tags::default();
        assert!(!tags.are_many());
        tags.fail(Tagged::of_test(1), "x".repeat(MOST_TEXT));
        assert!(tags.are_many());
    }
}
