//! One queue as the ticker remembers it, and when its next tick is due.

use std::str::FromStr;

use postgres::SimpleQueryRow;

use crate::names;

/// After the server made no tick, the queue is not due for this part of its shorter time threshold, in seconds at most
/// [`MAX_NOT_DUE`].
const NOT_DUE_PART: f64 = 0.1;
const MAX_NOT_DUE: f64 = 1.0;
/// The sequence of a queue without new events is not read for this part of `max_lag`, in seconds at most
/// [`MAX_PAUSE`].
const PAUSE_PART: f64 = 0.1;
const MAX_PAUSE: f64 = 1.0;

/// A queue, its thresholds, its last tick and the value of its sequence. Times are in seconds of the server's clock.
#[derive(Clone, Debug)]
pub(super) struct CachedQueue {
    pub(super) id: i32,
    pub(super) name: String,
    pub(super) thresholds: Thresholds,
    /// `None` if there is no tick.
    pub(super) last: Option<LastTick>,
    /// The sequence of event ids, if this role may read it.
    pub(super) sequence: Option<u32>,
    /// The last value that was read from the sequence.
    pub(super) sequence_value: Option<i64>,
    /// The sequence is not read before this time.
    pub(super) sequence_paused_until: Option<f64>,
    /// Whether events may have been committed since the sequence was read.
    pub(super) may_have_moved: bool,
    /// The server is not asked for a tick before this time.
    pub(super) not_due_until: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Thresholds {
    pub(super) max_count: i64,
    pub(super) max_lag: f64,
    pub(super) idle_period: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LastTick {
    pub(super) event_seq: i64,
    pub(super) time: f64,
    /// The time since the tick before it, if there was one.
    pub(super) gap: Option<f64>,
}

impl CachedQueue {
    /// Reads a row of [`queues`](crate::sql::ticker::queues). A column that is not a number counts as null.
    pub(super) fn from_row(row: &SimpleQueryRow) -> CachedQueue {
        let last = number(row, 5).zip(number(row, 6)).map(|(event_seq, time)| LastTick {
            event_seq,
            time,
            gap: number(row, 7),
        });
        CachedQueue {
            id: number(row, 0).unwrap_or_default(),
            name: names::hex_to_text(row.get(1).unwrap_or_default()),
            thresholds: Thresholds {
                max_count: number(row, 2).unwrap_or_default(),
                max_lag: number(row, 3).unwrap_or_default(),
                idle_period: number(row, 4).unwrap_or_default(),
            },
            last,
            sequence: number(row, 8),
            sequence_value: None,
            sequence_paused_until: None,
            may_have_moved: true,
            not_due_until: None,
        }
    }

    /// Keeps the state of the sequence when the queue was read again.
    pub(super) fn carry_over(&mut self, before: &CachedQueue) {
        if before.sequence == self.sequence {
            self.sequence_value = before.sequence_value;
            self.sequence_paused_until = before.sequence_paused_until;
            self.may_have_moved = before.may_have_moved;
            self.advance_sequence_to(self.last.map(|last| last.event_seq));
        }
    }

    /// Returns whether it is time to read the sequence.
    pub(super) fn reads_sequence(&self, now: f64) -> bool {
        // After the server's clock was set back, a pause is longer than possible.
        let is_paused = |until| now < until && until <= now + MAX_PAUSE;
        self.may_have_moved && !self.sequence_paused_until.is_some_and(is_paused)
    }

    /// Pauses the reads of the sequence for the longest time.
    pub(super) fn pause_sequence(&mut self, now: f64) {
        self.sequence_paused_until = Some(now + MAX_PAUSE);
    }

    /// Returns whether a tick may be due. The server decides.
    pub(super) fn is_due(&self, now: f64) -> bool {
        if self.not_due_until.is_some_and(|until| now < until) {
            return false;
        }
        let (Some(last), Some(value)) = (self.last, self.sequence_value) else { return true };
        let age = now - last.time;
        match value - last.event_seq {
            // The sequence or the clock was set back: neither shows how many events are new.
            new if new < 0 || age < 0.0 => true,
            new if new > 0 => new >= self.thresholds.max_count || age >= self.thresholds.max_lag,
            _ => {
                let idle = last.gap.map(|gap| (gap * 2.0).min(self.thresholds.idle_period));
                idle.is_none_or(|idle| age >= idle.max(self.thresholds.max_lag / 2.0))
            }
        }
    }

    /// Records the value of the sequence. A sequence that does not move is read less often.
    pub(super) fn set_sequence_value(&mut self, value: i64, now: f64) {
        let pause = (self.thresholds.max_lag * PAUSE_PART).clamp(0.0, MAX_PAUSE);
        self.sequence_paused_until = (self.sequence_value == Some(value)).then_some(now + pause);
        self.may_have_moved = false;
        if self.sequence_value != Some(value) {
            self.not_due_until = None;
        }
        self.sequence_value = Some(value);
    }

    /// Raises the recorded value to that at a tick.
    fn advance_sequence_to(&mut self, event_seq: Option<i64>) {
        self.sequence_value = self.sequence_value.map(|value| value.max(event_seq.unwrap_or(value)));
    }

    /// Records the last tick, which may be the recorded one.
    pub(super) fn ticked(&mut self, event_seq: i64, time: f64) {
        if self.last.is_none_or(|last| last.time != time) {
            let gap = self.last.map(|before| time - before.time);
            self.last = Some(LastTick { event_seq, time, gap });
            self.advance_sequence_to(Some(event_seq));
            self.not_due_until = None;
        }
    }

    /// Records that the server made no tick.
    pub(super) fn set_not_due(&mut self, now: f64) {
        let shortest = self.thresholds.max_lag.min(self.thresholds.idle_period);
        self.not_due_until = Some(now + (shortest * NOT_DUE_PART).clamp(0.0, MAX_NOT_DUE));
    }
}

/// Reads a row with a queue's last tick: the queue's id, the event id and the time.
pub(super) fn last_tick(row: &SimpleQueryRow) -> Option<(i32, i64, f64)> {
    Some((number(row, 0)?, number(row, 2)?, number(row, 3)?))
}

fn number<T: FromStr>(row: &SimpleQueryRow, column: usize) -> Option<T> {
    row.get(column)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(gap: Option<f64>, sequence_value: i64) -> CachedQueue {
        CachedQueue {
            id: 1,
            name: "q".to_owned(),
            thresholds: Thresholds { max_count: 500, max_lag: 3.0, idle_period: 60.0 },
            last: Some(LastTick { event_seq: 1_000, time: 100.0, gap }),
            sequence: Some(1),
            sequence_value: Some(sequence_value),
            sequence_paused_until: None,
            may_have_moved: false,
            not_due_until: None,
        }
    }

    #[track_caller]
    fn check(gap: Option<f64>, sequence_value: i64, age: f64, expected: bool) {
        assert_eq!(
            queue(gap, sequence_value).is_due(100.0 + age),
            expected,
            "{gap:?} {sequence_value} {age}"
        );
    }

    #[test]
    fn events_make_a_tick_due_by_their_number_or_their_age() {
        check(Some(60.0), 1_001, 2.9, false);
        check(Some(60.0), 1_001, 3.0, true);
        check(Some(60.0), 1_499, 0.0, false);
        check(Some(60.0), 1_500, 0.0, true);
    }

    #[test]
    fn an_idle_queue_ticks_more_and_more_slowly() {
        check(Some(0.1), 1_000, 1.4, false);
        check(Some(0.1), 1_000, 1.5, true);
        check(Some(10.0), 1_000, 19.9, false);
        check(Some(10.0), 1_000, 20.0, true);
        check(Some(50.0), 1_000, 59.9, false);
        check(Some(50.0), 1_000, 60.0, true);
        check(None, 1_000, 0.0, true);
    }

    #[test]
    fn a_sequence_or_a_clock_that_was_set_back_makes_a_tick_due() {
        check(Some(10.0), 990, 0.1, true);
        check(Some(10.0), 1_000, -3600.0, true);
        check(Some(10.0), 1_001, -0.1, true);
    }

    #[test]
    fn a_tick_raises_the_value_of_the_sequence() {
        let mut queue = queue(Some(10.0), 1_000);
        queue.ticked(1_005, 101.0);
        assert_eq!(queue.sequence_value, Some(1_005));
        assert!(!queue.is_due(101.0), "what was read before is older");
    }

    #[test]
    fn without_a_tick_or_a_sequence_the_server_decides() {
        assert!(CachedQueue { last: None, ..queue(None, 1_000) }.is_due(100.0));
        assert!(CachedQueue { sequence_value: None, ..queue(Some(60.0), 1_000) }.is_due(100.0));
    }

    #[test]
    fn a_negative_answer_holds_until_there_are_more_events() {
        let mut queue = queue(Some(60.0), 1_500);
        queue.set_not_due(100.0);
        assert!(!queue.is_due(100.2));
        assert!(queue.is_due(100.31));
        queue.set_sequence_value(1_500, 100.2);
        assert!(!queue.is_due(100.2));
        queue.set_sequence_value(1_501, 100.2);
        assert!(queue.is_due(100.2));
    }

    #[test]
    fn the_last_tick_counts_once() {
        let mut queue = queue(Some(60.0), 1_500);
        queue.set_not_due(102.9);
        for _ in 0..2 {
            queue.ticked(1_500, 103.0);
            assert_eq!(queue.last, Some(LastTick { event_seq: 1_500, time: 103.0, gap: Some(3.0) }));
        }
        assert_eq!(queue.not_due_until, None);
        queue.last = None;
        queue.ticked(1_500, 103.0);
        assert_eq!(queue.last, Some(LastTick { event_seq: 1_500, time: 103.0, gap: None }));
    }

    #[test]
    fn a_sequence_that_does_not_move_is_read_less_often() {
        let mut queue = CachedQueue { may_have_moved: true, ..queue(Some(60.0), 1_000) };
        queue.set_sequence_value(1_001, 100.0);
        assert!(!queue.reads_sequence(100.0), "nothing was committed since");
        queue.may_have_moved = true;
        assert!(queue.reads_sequence(100.0), "it had moved");
        queue.set_sequence_value(1_001, 100.1);
        queue.may_have_moved = true;
        assert!(!queue.reads_sequence(100.3));
        assert!(queue.reads_sequence(100.41));
    }
}
