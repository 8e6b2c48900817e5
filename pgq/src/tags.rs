//! The events of a batch that are not just done: to be retried, or given up.

use std::time::Duration;

use postgres::GenericClient;
use postgres::error::SqlState;
use postgres::types::{ToSql, Type};

use crate::{Error, sql};

/// With so many tags they are sent, so that a batch of nothing but retries does not fill the memory. Each sending
/// costs the server a look through the batch.
const MOST: usize = 1 << 20;
/// As [`MOST`], of the reasons' text, in bytes.
const MOST_TEXT: usize = 16 << 20;

/// Tags of a batch's events that were not sent yet. Of several tags of one event in a row the last one counts.
#[derive(Default)]
pub(crate) struct Tags {
    pub(crate) retries: Vec<(i64, i32)>,
    pub(crate) failures: Vec<(i64, String)>,
    text: usize,
    /// How many events were tagged so far, sent ones included.
    pub(crate) retried: u64,
    pub(crate) failed: u64,
}

impl Tags {
    pub(crate) fn retry(&mut self, event: i64, delay: Duration) {
        self.untag(event);
        self.retries.push((event, whole_seconds(delay)));
        self.retried += 1;
    }

    pub(crate) fn fail(&mut self, event: i64, reason: String) {
        self.untag(event);
        // No text on the server holds a NUL.
        let reason = reason.replace('\0', "\u{fffd}");
        self.text += reason.len();
        self.failures.push((event, reason));
        self.failed += 1;
    }

    /// Takes back the tag that an event was given last.
    fn untag(&mut self, event: i64) {
        self.retried -= self.retries.pop_if(|last| last.0 == event).map_or(0, |_| 1);
        self.failed -= self.failures.pop_if(|last| last.0 == event).map_or(0, |_| 1);
    }

    /// Tells whether it is time to send.
    pub(crate) fn are_many(&self) -> bool {
        self.retries.len() + self.failures.len() >= MOST || self.text >= MOST_TEXT
    }

    /// Sends the tags of a batch.
    ///
    /// `at_once` tells whether the server has the functions that take many events.
    pub(crate) fn send(
        &mut self,
        client: &mut impl GenericClient,
        batch: i64,
        at_once: bool,
    ) -> Result<(), Error> {
        if !self.retries.is_empty() {
            let (ids, seconds): (Vec<i64>, Vec<i32>) = std::mem::take(&mut self.retries).into_iter().unzip();
            let values: [(&(dyn ToSql + Sync), Type); 3] =
                [(&batch, Type::INT8), (&ids, Type::INT8_ARRAY), (&seconds, Type::INT4_ARRAY)];
            let statement = if at_once { sql::batch::RETRY_MANY } else { sql::batch::RETRY_EACH };
            let failed = |error| Error::failed("cannot tag events for retry").caused_by(error);
            client.query_typed(statement, &values).map_err(failed)?;
        }
        if !self.failures.is_empty() {
            self.text = 0;
            let (ids, reasons): (Vec<i64>, Vec<String>) =
                std::mem::take(&mut self.failures).into_iter().unzip();
            let values: [(&(dyn ToSql + Sync), Type); 3] =
                [(&batch, Type::INT8), (&ids, Type::INT8_ARRAY), (&reasons, Type::TEXT_ARRAY)];
            client.query_typed(sql::batch::FAIL_MANY, &values).map_err(not_failed)?;
        }
        Ok(())
    }
}

fn not_failed(error: postgres::Error) -> Error {
    let what = "cannot tag events as failed";
    match error.code() {
        Some(&SqlState::UNDEFINED_FUNCTION) => Error::missing(format!(
            "{what}: failed events are not installed, or by an older release; `pgqadm CONFIG.ini install` installs them"
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
        assert_eq!(tags.retries, [(1, 5), (3, i32::MAX)]);
        assert_eq!(tags.failures, [(2, "no".to_owned())]);
        assert_eq!((tags.retried, tags.failed), (2, 1));
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
