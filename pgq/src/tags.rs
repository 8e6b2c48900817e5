//! The events of a batch that are not just done: to be retried, or given up.

use std::collections::BTreeMap;
use std::time::Duration;

use postgres::error::SqlState;
use postgres::types::Type;
use postgres::{GenericClient, Row};

use crate::holder::{self, Holder};
use crate::{Error, sql};

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
    pub(crate) retries: BTreeMap<i64, i32>,
    /// Events and reasons.
    pub(crate) failures: BTreeMap<i64, String>,
    text: usize,
    /// How many were sent.
    sent_retries: u64,
    sent_failures: u64,
}

impl Tags {
    pub(crate) fn retry(&mut self, event: i64, delay: Duration) {
        self.unfail(event);
        self.retries.insert(event, whole_seconds(delay));
    }

    pub(crate) fn fail(&mut self, event: i64, reason: String) {
        self.unfail(event);
        self.retries.remove(&event);
        // No text on the server holds a NUL.
        let reason = reason.replace('\0', "\u{fffd}");
        self.text += reason.len();
        self.failures.insert(event, reason);
    }

    fn unfail(&mut self, event: i64) {
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

    /// Tells whether it is time to send.
    pub(crate) fn are_many(&self) -> bool {
        self.retries.len() + self.failures.len() >= MOST || self.text >= MOST_TEXT
    }

    /// Sends the tags of a batch, which stay until they are [known](Tags::forget_sent) to be sent.
    ///
    /// `at_once` tells whether the server has the functions that take many events.
    pub(crate) fn send(
        &self,
        client: &mut impl GenericClient,
        holder: &Holder,
        at_once: bool,
    ) -> Result<(), Error> {
        if !self.retries.is_empty() {
            let (ids, seconds): (Vec<i64>, Vec<i32>) = self.retries.iter().unzip();
            let mut values = holder.values().to_vec();
            values.extend([(&ids as _, Type::INT8_ARRAY), (&seconds as _, Type::INT4_ARRAY)]);
            let statement = if at_once { sql::batch::RETRY_MANY } else { sql::batch::RETRY_EACH };
            let failed = |error| Error::failed("cannot tag events for retry").caused_by(error);
            let rows = client.query_typed(statement, &values).map_err(failed)?;
            if rows.is_empty() {
                return Err(holder::gone());
            }
            // The extension's function alone leaves it at that.
            let is_refused = |row: &Row| !at_once && row.get::<_, i32>(0) == 0;
            if let Some((id, _)) = ids.iter().zip(&rows).find(|(_, row)| is_refused(row)) {
                let what = "cannot tag events for retry: an event with this id waits for its retry; the batch comes again, \
                            and passes when that one has come back";
                return Err(Error::failed(what).at_event(*id));
            }
        }
        if !self.failures.is_empty() {
            let (ids, reasons): (Vec<i64>, Vec<&str>) =
                self.failures.iter().map(|(id, reason)| (*id, reason.as_str())).unzip();
            let mut values = holder.values().to_vec();
            values.extend([(&ids as _, Type::INT8_ARRAY), (&reasons as _, Type::TEXT_ARRAY)]);
            if client.query_typed(sql::batch::FAIL_MANY, &values).map_err(not_failed)?.is_empty() {
                return Err(holder::gone());
            }
        }
        Ok(())
    }

    /// Forgets what was sent, but for how many they were.
    pub(crate) fn forget_sent(&mut self) {
        *self = Tags { sent_retries: self.retried(), sent_failures: self.failed(), ..Tags::default() };
    }
}

fn not_failed(error: postgres::Error) -> Error {
    let what = "cannot tag events as failed";
    match error.code() {
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
        tags.retry(1, Duration::from_secs(5));
        tags.retry(2, Duration::from_millis(1500));
        tags.fail(2, "no".to_owned());
        tags.fail(3, "no".to_owned());
        tags.retry(3, Duration::MAX);
        tags.fail(1, "no".to_owned());
        tags.retry(1, Duration::from_secs(5));
        assert_eq!(tags.retries, [(1, 5), (3, i32::MAX)].into());
        assert_eq!(tags.failures, [(2, "no".to_owned())].into());
        assert_eq!((tags.retried(), tags.failed(), tags.text), (2, 1, 2));
        tags.forget_sent();
        tags.retry(4, Duration::ZERO);
        assert_eq!((tags.retried(), tags.failed(), tags.text), (3, 1, 0));
        assert_eq!(whole_seconds(Duration::from_millis(1500)), 2);
    }

    #[test]
    fn many_tags_and_long_reasons_are_sent_before_the_end() {
        let mut tags = Tags::default();
        assert!(!tags.are_many());
        tags.fail(1, "x".repeat(MOST_TEXT));
        assert!(tags.are_many());
    }
}
