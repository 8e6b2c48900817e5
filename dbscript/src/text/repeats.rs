//! Lines that come again and again.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::text::fingerprint::fingerprint;

/// The same line is logged at most this often.
const REPEAT: Duration = Duration::from_secs(60);
/// How many different lines are remembered.
const REMEMBERED: usize = 16;

/// Remembers the lines that were logged, so that one which comes again and again is logged once a minute. Lines with
/// the same [`fingerprint`] are the same; the last 16 different ones are remembered.
///
/// ```
/// let repeats = dbscript::Repeats::default();
/// assert_eq!(repeats.tell("no answer in 5 s"), Some(0));
/// assert_eq!(repeats.tell("no answer in 7 s"), None);
/// ```
#[derive(Debug, Default)]
pub struct Repeats(Mutex<Vec<Told>>);

/// The gist of a line, when one was logged, and how often none was since then.
#[derive(Debug)]
struct Told {
    gist: String,
    at: Instant,
    untold: u64,
}

impl Repeats {
    /// Returns how often a line was left out since it was last logged, or nothing when it is to be left out now.
    pub fn tell(&self, line: &str) -> Option<u64> {
        self.tell_at(line, Instant::now())
    }

    pub(crate) fn tell_at(&self, line: &str, now: Instant) -> Option<u64> {
        let gist = fingerprint(line);
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(told) = lines.iter_mut().find(|told| told.gist == gist) {
            if now - told.at < REPEAT {
                told.untold += 1;
                return None;
            }
            told.at = now;
            return Some(std::mem::take(&mut told.untold));
        }
        if lines.len() == REMEMBERED {
            lines.remove(0);
        }
        lines.push(Told { gist, at: now, untold: 0 });
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_line_is_told_once_a_minute_with_how_often_it_was_not() {
        let (repeats, start) = (Repeats::default(), Instant::now());
        assert_eq!(repeats.tell_at("a", start), Some(0));
        for second in 1..60 {
            assert_eq!(repeats.tell_at("a", start + seconds(second)), None);
        }
        assert_eq!(repeats.tell_at("b", start + seconds(59)), Some(0));
        assert_eq!(repeats.tell_at("a", start + seconds(60)), Some(59));
        assert_eq!(repeats.tell_at("a", start + seconds(120)), Some(0));
    }

    #[test]
    fn a_line_with_another_number_is_the_same() {
        let (repeats, start) = (Repeats::default(), Instant::now());
        let line = |row: u64| format!("ERROR 23514: row {row} of process {}", row * 7);
        assert_eq!(repeats.tell_at(&line(1), start), Some(0));
        assert_eq!(repeats.tell_at(&line(20), start + seconds(1)), None);
        assert_eq!(repeats.tell_at(&line(300), start + seconds(60)), Some(1));
    }

    #[test]
    fn lines_that_all_differ_are_forgotten_in_turn() {
        let (repeats, start) = (Repeats::default(), Instant::now());
        for number in 0..1000 {
            assert_eq!(repeats.tell_at(&format!("queue `q{number}`"), start), Some(0));
        }
        assert_eq!(repeats.0.lock().expect("no panic").len(), REMEMBERED);
    }
}
