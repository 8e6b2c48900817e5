//! The batches that the subconsumers of a consumer have applied or begun.

use pgq::{BatchInfo, BoxError, Checkpoint};
use serde_json::{Value, json};

use super::Position;
use super::position::{checkpoint_of, checkpoint_values};

/// The most ranges. With more, the first two become one: the batch between them, which is still in progress after so many
/// others, is not.
const MAX_RANGES: usize = 500;

/// The ticks from which and to which events are applied: a batch, or batches that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TickRange {
    /// The first tick.
    pub start: Checkpoint,
    /// The last tick.
    pub end: Checkpoint,
}

/// The batches that the subconsumers of a consumer have applied or begun.
///
/// Batches that were applied are ranges of ticks. Batches that adjoin are one range, so that there are about as many ranges
/// as subconsumers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges {
    /// In order, and apart from each other.
    completed: Vec<TickRange>,
    /// The batches that have a record of their own, in order.
    open: Vec<TickRange>,
}

/// A batch relative to the ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RangePlace {
    /// The batch has a record.
    Open,
    /// The batch is in a range that was applied.
    Completed(TickRange),
    /// The batch has ticks in common with a range or another batch, or ticks of the same number.
    Overlapping(TickRange),
    /// The batch begins at the last tick, or there is no tick yet.
    Next,
    /// The batch begins behind the last tick, which is this one.
    Ahead(Checkpoint),
    /// The batch ends before the last tick, which is this one.
    Behind(Checkpoint),
}

impl TickRange {
    pub(super) fn of(batch: &BatchInfo) -> TickRange {
        TickRange { start: Checkpoint::start_of(batch), end: Checkpoint::end_of(batch) }
    }

    /// Returns whether both have the same ticks.
    pub fn is(&self, other: &TickRange) -> bool {
        self.start.is(&other.start) && self.end.is(&other.end)
    }

    fn overlaps(&self, other: &TickRange) -> bool {
        self.start.tick < other.end.tick && other.start.tick < self.end.tick
    }

    /// Returns whether the range has all ticks of another one, by their numbers and times.
    fn contains(&self, other: &TickRange) -> bool {
        let is_ordered = |first: &Checkpoint, second: &Checkpoint| {
            first.is(second) || (first.tick < second.tick && first.time <= second.time)
        };
        is_ordered(&self.start, &other.start) && is_ordered(&other.end, &self.end)
    }
}

impl Ranges {
    /// Makes the ranges of a position. A batch of which a part is applied is open, and the position is its record.
    pub fn of_position(position: &Position) -> Ranges {
        let range = vec![TickRange { start: position.start, end: position.end }];
        match position.is_complete {
            true => Ranges { completed: range, open: Vec::new() },
            false => Ranges { completed: Vec::new(), open: range },
        }
    }

    /// Returns the position of a consumer without subconsumers that continues; `None` if nothing is applied yet.
    ///
    /// # Errors
    ///
    /// When a batch is open, or batches before the last one are not applied.
    pub fn position(&self) -> Result<Option<Position>, BoxError> {
        match (&self.open[..], &self.completed[..]) {
            ([], []) => Ok(None),
            ([], [TickRange { start, end }]) => {
                let (start, end) = (*start, *end);
                let failed = Vec::new();
                Ok(Some(Position { start, end, events: 0, last_event: None, failed, is_complete: true }))
            }
            _ => {
                let open = self.open.len();
                let gaps = self.completed.len().saturating_sub(1);
                let why = format!(
                    "it is the position of subconsumers, with {open} open batches and {gaps} gaps; run the subconsumers \
                     until they have finished their batches, or set `subconsumer_name`"
                );
                Err(why.into())
            }
        }
    }

    /// Returns the batches that have a record.
    pub fn open(&self) -> &[TickRange] {
        &self.open
    }

    /// Returns the ranges that were applied.
    pub fn completed(&self) -> &[TickRange] {
        &self.completed
    }

    /// Returns the ranges with another open batch.
    pub(super) fn with_open(&self, batch: TickRange) -> Ranges {
        let mut ranges = self.clone();
        ranges.open.push(batch);
        ranges.open.sort_by_key(|open| open.start.tick);
        ranges
    }

    /// Returns the ranges with an open batch as applied; `None` if it is not open.
    pub(super) fn with_completed(&self, batch: &TickRange) -> Option<Ranges> {
        let at = self.open.iter().position(|open| open.is(batch))?;
        let mut ranges = self.clone();
        ranges.open.remove(at);
        ranges.add(*batch);
        Some(ranges)
    }

    fn add(&mut self, batch: TickRange) {
        let mut all = std::mem::take(&mut self.completed);
        all.push(batch);
        all.sort_by_key(|range| (range.start.tick, range.end.tick));
        for range in all {
            match self.completed.last_mut() {
                Some(last) if last.end.is(&range.start) => last.end = range.end,
                Some(last) if last.contains(&range) => {}
                _ => self.completed.push(range),
            }
        }
        if self.completed.len() > MAX_RANGES {
            let first = self.completed.remove(0);
            self.completed[0].start = first.start;
        }
    }

    /// Returns the last tick of all batches.
    fn last(&self) -> Option<Checkpoint> {
        let all = self.completed.iter().chain(&self.open);
        all.map(|range| range.end).max_by_key(|end| end.tick)
    }

    /// Compares a batch with the ranges.
    pub(super) fn place(&self, batch: &TickRange) -> RangePlace {
        if self.open.iter().any(|open| open.is(batch)) {
            return RangePlace::Open;
        }
        if let Some(range) = self.completed.iter().find(|range| range.contains(batch)) {
            return RangePlace::Completed(*range);
        }
        let mut all = self.completed.iter().chain(&self.open);
        if let Some(range) = all.find(|range| range.overlaps(batch)) {
            return RangePlace::Overlapping(*range);
        }
        match self.last() {
            None => RangePlace::Next,
            Some(last) if last.is(&batch.start) => RangePlace::Next,
            Some(last) if last.tick < batch.start.tick && last.time <= batch.start.time => {
                RangePlace::Ahead(last)
            }
            Some(last) if batch.end.tick <= last.tick && batch.end.time <= last.time => {
                RangePlace::Behind(last)
            }
            Some(last) => RangePlace::Overlapping(TickRange { start: last, end: last }),
        }
    }

    /// Returns the ranges as a JSON object, for a system that stores texts.
    pub fn to_json(&self) -> String {
        self.to_value().to_string()
    }

    /// Reads the text that [`to_json`](Ranges::to_json) has returned.
    ///
    /// # Errors
    ///
    /// When the text is anything else.
    pub fn from_json(text: &str) -> Result<Ranges, BoxError> {
        Ranges::from_value(&serde_json::from_str(text)?)
            .ok_or_else(|| "the JSON is not that of ranges".into())
    }

    pub(crate) fn to_value(&self) -> Value {
        let each = |ranges: &[TickRange]| ranges.iter().map(|range| range.to_value()).collect::<Vec<_>>();
        json!({ "completed": each(&self.completed), "open": each(&self.open) })
    }

    pub(crate) fn from_value(value: &Value) -> Option<Ranges> {
        let each = |value: &Value| value.as_array()?.iter().map(TickRange::from_value).collect::<Option<_>>();
        Some(Ranges { completed: each(&value["completed"])?, open: each(&value["open"])? })
    }
}

impl TickRange {
    fn to_value(self) -> Value {
        let [start_tick, start_time] = checkpoint_values(&self.start);
        let [end_tick, end_time] = checkpoint_values(&self.end);
        json!([start_tick, start_time, end_tick, end_time])
    }

    fn from_value(value: &Value) -> Option<TickRange> {
        let [start_tick, start_time, end_tick, end_time] = &value.as_array()?[..] else { return None };
        let (start, end) = (checkpoint_of(start_tick, start_time)?, checkpoint_of(end_tick, end_time)?);
        Some(TickRange { start, end })
    }
}

/// Shows both ticks with their times.
impl std::fmt::Display for TickRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} to {}", self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    /// Makes a tick whose time is that many seconds after its number.
    fn at(tick: i64, later: i64) -> Checkpoint {
        Checkpoint::new(tick, DateTime::from_timestamp(tick + later, 123_456_000))
    }

    fn range(start: i64, end: i64) -> TickRange {
        TickRange { start: at(start, 0), end: at(end, 0) }
    }

    fn completed(batches: &[(i64, i64)]) -> Ranges {
        batches.iter().fold(Ranges::default(), |ranges, (start, end)| {
            let batch = range(*start, *end);
            ranges.with_open(batch).with_completed(&batch).expect("open")
        })
    }

    #[test]
    fn batches_that_adjoin_are_one_range() {
        let ranges = completed(&[(1, 3), (7, 9), (3, 5)]);
        assert_eq!(ranges.completed(), [range(1, 5), range(7, 9)]);
        assert_eq!(completed(&[(1, 3), (7, 9), (3, 5), (5, 7)]).completed(), [range(1, 9)]);
        // Once more, as after a source that was moved back.
        assert_eq!(completed(&[(1, 9), (3, 5)]).completed(), [range(1, 9)]);
        assert_eq!(ranges.with_completed(&range(9, 10)), None);
    }

    #[test]
    fn only_so_many_ranges_are_kept() {
        let batches: Vec<(i64, i64)> = (0..MAX_RANGES as i64 + 2).map(|n| (10 * n, 10 * n + 1)).collect();
        let ranges = completed(&batches);
        assert_eq!(ranges.completed().len(), MAX_RANGES);
        assert_eq!(ranges.completed()[0], range(0, 21));
    }

    #[test]
    fn a_batch_has_a_place() {
        let ranges = completed(&[(1, 5), (7, 9)]).with_open(range(9, 12));
        let last = at(12, 0);
        for (batch, place) in [
            (range(9, 12), RangePlace::Open),
            (range(1, 5), RangePlace::Completed(range(1, 5))),
            (range(2, 4), RangePlace::Completed(range(1, 5))),
            (range(4, 6), RangePlace::Overlapping(range(1, 5))),
            (range(9, 11), RangePlace::Overlapping(range(9, 12))),
            (range(5, 7), RangePlace::Behind(last)),
            (range(0, 1), RangePlace::Behind(last)),
            (range(12, 13), RangePlace::Next),
            (range(13, 14), RangePlace::Ahead(last)),
            // Ticks of the same numbers and another history.
            (TickRange { start: at(9, 0), end: at(12, 1) }, RangePlace::Overlapping(range(9, 12))),
            (TickRange { start: at(1, 1), end: at(5, 1) }, RangePlace::Overlapping(range(1, 5))),
            (TickRange { start: at(2, 9), end: at(4, 9) }, RangePlace::Overlapping(range(1, 5))),
            (
                TickRange { start: at(12, 1), end: at(13, 1) },
                RangePlace::Overlapping(TickRange { start: last, end: last }),
            ),
        ] {
            assert_eq!(ranges.place(&batch), place, "{batch}");
        }
        assert_eq!(Ranges::default().place(&range(1, 2)), RangePlace::Next);
    }

    #[test]
    fn one_range_is_a_position() {
        assert_eq!(Ranges::default().position().expect("none"), None);
        let ranges = completed(&[(1, 5)]);
        let position = ranges.position().expect("one range").expect("a position");
        assert_eq!(Ranges::of_position(&position), ranges);
        assert!(ranges.with_open(range(5, 6)).position().is_err());
        assert!(completed(&[(1, 5), (6, 7)]).position().is_err());
        let part = Position { is_complete: false, ..position };
        assert_eq!(Ranges::of_position(&part), Ranges::default().with_open(range(1, 5)));
    }

    #[test]
    fn ranges_survive_their_json() {
        let ranges = completed(&[(1, 5), (7, 9)]).with_open(range(9, 12));
        assert_eq!(Ranges::from_json(&ranges.to_json()).expect("valid"), ranges);
        for wrong in ["", "{}", r#"{"completed":[]}"#, r#"{"completed":[],"open":[[1]]}"#] {
            assert!(Ranges::from_json(wrong).is_err(), "{wrong}");
        }
    }
}
