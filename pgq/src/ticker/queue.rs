//! One queue's rules, and when its next tick is due.

use std::str::FromStr;

use postgres::SimpleQueryRow;

use crate::names;

/// A negative answer holds for this part of the queue's shortest time.
const HOLD_OFF_PART: f64 = 0.1;
const LONGEST_HOLD_OFF: f64 = 1.0;
/// The sequence of a queue without new events is left alone for this part of its lag.
const REST_PART: f64 = 0.1;
const LONGEST_REST: f64 = 1.0;

/// A queue as the ticker remembers it; times are those of the server's clock, in seconds.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    pub(super) id: i32,
    pub(super) name: String,
    pub(super) rules: Rules,
    /// `None`: there is no tick yet.
    pub(super) last: Option<LastTick>,
    /// The sequence of event ids, if it can be read.
    pub(super) sequence: Option<u32>,
    /// How far the sequence has come, if that is known.
    pub(super) reached: Option<i64>,
    /// Until when the sequence is not looked at again.
    pub(super) rests: Option<f64>,
    /// Whether events may have been committed since the sequence was looked at.
    pub(super) stale: bool,
    /// Until when it is not asked again.
    pub(super) held_off: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rules {
    pub(super) max_count: i64,
    pub(super) max_lag: f64,
    pub(super) idle_period: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LastTick {
    pub(super) event_seq: i64,
    pub(super) time: f64,
    /// How long after its predecessor it came, if it had one.
    pub(super) gap: Option<f64>,
}

impl Queue {
    /// Reads a row of [`queues`](crate::sql::ticker::queues); what is not a number counts as not there.
    pub(super) fn from_row(row: &SimpleQueryRow) -> Queue {
        let last = number(row, 5).zip(number(row, 6)).map(|(event_seq, time)| LastTick {
            event_seq,
            time,
            gap: number(row, 7),
        });
        Queue {
            id: number(row, 0).unwrap_or_default(),
            name: names::shown_hex(row.get(1).unwrap_or_default()),
            rules: Rules {
                max_count: number(row, 2).unwrap_or_default(),
                max_lag: number(row, 3).unwrap_or_default(),
                idle_period: number(row, 4).unwrap_or_default(),
            },
            last,
            sequence: number(row, 8),
            reached: None,
            rests: None,
            stale: true,
            held_off: None,
        }
    }

    /// Takes over what is known of the sequence.
    pub(super) fn goes_on_from(&mut self, before: &Queue) {
        if before.sequence == self.sequence {
            (self.reached, self.rests, self.stale) = (before.reached, before.rests, before.stale);
            self.has_come_to(self.last.map(|last| last.event_seq));
        }
    }

    /// Returns whether it is time to look at the sequence.
    pub(super) fn is_to_be_followed(&self, now: f64) -> bool {
        // The server's clock may have been put back.
        let rests = |until| now < until && until <= now + LONGEST_REST;
        self.stale && !self.rests.is_some_and(rests)
    }

    /// Leaves the sequence alone for as long as is ever done.
    pub(super) fn rest(&mut self, now: f64) {
        self.rests = Some(now + LONGEST_REST);
    }

    /// Returns whether a tick may be due; the server has the last word.
    pub(super) fn is_due(&self, now: f64) -> bool {
        if self.held_off.is_some_and(|until| now < until) {
            return false;
        }
        let (Some(last), Some(reached)) = (self.last, self.reached) else { return true };
        let age = now - last.time;
        match reached - last.event_seq {
            // Sequence or clock were put back, and neither tells what has come since.
            new if new < 0 || age < 0.0 => true,
            new if new > 0 => new >= self.rules.max_count || age >= self.rules.max_lag,
            _ => {
                let idle = last.gap.map(|gap| (gap * 2.0).min(self.rules.idle_period));
                idle.is_none_or(|idle| age >= idle.max(self.rules.max_lag / 2.0))
            }
        }
    }

    /// Takes note of how far the sequence has come. One that stands still is looked at less often.
    pub(super) fn reach(&mut self, reached: i64, now: f64) {
        let rest = (self.rules.max_lag * REST_PART).clamp(0.0, LONGEST_REST);
        self.rests = (self.reached == Some(reached)).then_some(now + rest);
        self.stale = false;
        if self.reached != Some(reached) {
            self.held_off = None;
        }
        self.reached = Some(reached);
    }

    /// Takes note that the sequence was there at a tick, whatever was read before.
    fn has_come_to(&mut self, event_seq: Option<i64>) {
        self.reached = self.reached.map(|reached| reached.max(event_seq.unwrap_or(reached)));
    }

    /// Takes note of its last tick, which may be a new one. Ticks of others are told apart when queues are read anew.
    pub(super) fn ticked(&mut self, event_seq: i64, time: f64) {
        if self.last.is_none_or(|last| last.time != time) {
            let gap = self.last.map(|before| time - before.time);
            self.last = Some(LastTick { event_seq, time, gap });
            self.has_come_to(Some(event_seq));
            self.held_off = None;
        }
    }

    /// Takes note that the server saw no need of a tick.
    pub(super) fn hold_off(&mut self, now: f64) {
        let shortest = self.rules.max_lag.min(self.rules.idle_period);
        self.held_off = Some(now + (shortest * HOLD_OFF_PART).clamp(0.0, LONGEST_HOLD_OFF));
    }
}

/// Reads a row about a queue's last tick: whose it is, the event id and the time.
pub(super) fn last_tick(row: &SimpleQueryRow) -> Option<(i32, i64, f64)> {
    Some((number(row, 0)?, number(row, 2)?, number(row, 3)?))
}

fn number<T: FromStr>(row: &SimpleQueryRow, column: usize) -> Option<T> {
    row.get(column)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(gap: Option<f64>, reached: i64) -> Queue {
        Queue {
            id: 1,
            name: "q".to_owned(),
            rules: Rules { max_count: 500, max_lag: 3.0, idle_period: 60.0 },
            last: Some(LastTick { event_seq: 1_000, time: 100.0, gap }),
            sequence: Some(1),
            reached: Some(reached),
            rests: None,
            stale: false,
            held_off: None,
        }
    }

    #[track_caller]
    fn check(gap: Option<f64>, reached: i64, age: f64, expected: bool) {
        assert_eq!(queue(gap, reached).is_due(100.0 + age), expected, "{gap:?} {reached} {age}");
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
    fn a_sequence_or_a_clock_that_was_put_back_makes_a_tick_due() {
        check(Some(10.0), 990, 0.1, true);
        check(Some(10.0), 1_000, -3600.0, true);
        check(Some(10.0), 1_001, -0.1, true);
    }

    #[test]
    fn a_tick_is_as_far_as_the_sequence_has_come() {
        let mut queue = queue(Some(10.0), 1_000);
        queue.ticked(1_005, 101.0);
        assert_eq!(queue.reached, Some(1_005));
        assert!(!queue.is_due(101.0), "what was read before is older");
    }

    #[test]
    fn what_is_not_known_is_left_to_the_server() {
        assert!(Queue { last: None, ..queue(None, 1_000) }.is_due(100.0));
        assert!(Queue { reached: None, ..queue(Some(60.0), 1_000) }.is_due(100.0));
    }

    #[test]
    fn a_negative_answer_holds_until_there_are_more_events() {
        let mut queue = queue(Some(60.0), 1_500);
        queue.hold_off(100.0);
        assert!(!queue.is_due(100.2));
        assert!(queue.is_due(100.31));
        queue.reach(1_500, 100.2);
        assert!(!queue.is_due(100.2));
        queue.reach(1_501, 100.2);
        assert!(queue.is_due(100.2));
    }

    #[test]
    fn the_last_tick_counts_once() {
        let mut queue = queue(Some(60.0), 1_500);
        queue.hold_off(102.9);
        for _ in 0..2 {
            queue.ticked(1_500, 103.0);
            assert_eq!(queue.last, Some(LastTick { event_seq: 1_500, time: 103.0, gap: Some(3.0) }));
        }
        assert_eq!(queue.held_off, None);
        queue.last = None;
        queue.ticked(1_500, 103.0);
        assert_eq!(queue.last, Some(LastTick { event_seq: 1_500, time: 103.0, gap: None }));
    }

    #[test]
    fn a_sequence_that_stands_still_is_looked_at_less_often() {
        let mut queue = Queue { stale: true, ..queue(Some(60.0), 1_000) };
        queue.reach(1_001, 100.0);
        assert!(!queue.is_to_be_followed(100.0), "nothing was committed since");
        queue.stale = true;
        assert!(queue.is_to_be_followed(100.0), "it had moved");
        queue.reach(1_001, 100.1);
        queue.stale = true;
        assert!(!queue.is_to_be_followed(100.3));
        assert!(queue.is_to_be_followed(100.41));
    }
}
