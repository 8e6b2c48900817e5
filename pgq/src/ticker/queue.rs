//! One queue's rules, and when its next tick is due.

use postgres::Row;

/// A negative answer holds for this part of the queue's shortest time.
const HOLD_OFF_PART: f64 = 0.1;
const LONGEST_HOLD_OFF: f64 = 1.0;

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
    pub(super) fn from_row(row: &Row) -> Queue {
        let last = row.get::<_, Option<i64>>(5).map(|event_seq| LastTick {
            event_seq,
            time: row.get(6),
            gap: row.get(7),
        });
        Queue {
            id: row.get(0),
            name: row.get(1),
            rules: Rules {
                max_count: i64::from(row.get::<_, i32>(2)),
                max_lag: row.get(3),
                idle_period: row.get(4),
            },
            last,
            sequence: row.get(8),
            reached: None,
            held_off: None,
        }
    }

    /// Tells whether a tick may be due; the server has the last word.
    pub(super) fn is_due(&self, now: f64) -> bool {
        if self.held_off.is_some_and(|until| now < until) {
            return false;
        }
        let (Some(last), Some(reached)) = (self.last, self.reached) else { return true };
        let age = now - last.time;
        match reached - last.event_seq {
            new if new > 0 => new >= self.rules.max_count || age >= self.rules.max_lag,
            _ => {
                let idle = last.gap.map(|gap| (gap * 2.0).min(self.rules.idle_period));
                idle.is_none_or(|idle| age >= idle.max(self.rules.max_lag / 2.0))
            }
        }
    }

    /// Takes note of how far the sequence has come.
    pub(super) fn reach(&mut self, reached: i64) {
        if self.reached != Some(reached) {
            self.held_off = None;
        }
        self.reached = Some(reached);
    }

    /// Takes note that the server saw no need of a tick.
    pub(super) fn hold_off(&mut self, now: f64) {
        let shortest = self.rules.max_lag.min(self.rules.idle_period);
        self.held_off = Some(now + (shortest * HOLD_OFF_PART).clamp(0.0, LONGEST_HOLD_OFF));
    }
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
        // After a dump was restored, the sequence may be behind.
        check(Some(10.0), 990, 19.9, false);
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
        queue.reach(1_500);
        assert!(!queue.is_due(100.2));
        queue.reach(1_501);
        assert!(queue.is_due(100.2));
    }
}
