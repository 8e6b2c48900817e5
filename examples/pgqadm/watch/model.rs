//! The model of the display: the last status, the history of measurements, and the user's choices.

use std::time::Duration;

use super::column::Column;
use super::rows::{self, Order, Row, Tracks};
use super::snapshot::{Id, Snapshot};

/// The refresh intervals that keys select, in tenths of a second.
const INTERVALS: [u64; 10] = [1, 2, 5, 10, 20, 50, 100, 300, 600, 3000];

/// The state of the display.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) tracks: Tracks,
    /// The duration of the refresh in progress.
    pub(crate) waiting: Duration,
    /// The reason why the last refresh failed; `None` after a success.
    pub(crate) error: Option<String>,
    pub(crate) mode: Mode,
    pub(crate) order: Order,
    pub(crate) filter: String,
    pub(crate) is_paused: bool,
    pub(crate) interval: Duration,
    pub(crate) rows: Vec<Row>,
    pub(crate) selected: Option<Id>,
    /// The first row on the screen.
    pub(crate) top: usize,
    /// The number of rows that fit on the screen.
    pub(crate) page: usize,
    /// The first line of the help on the screen.
    pub(crate) help_top: u16,
}

/// The part of the display that handles keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Table,
    Filter,
    Help,
}

impl Model {
    pub(crate) fn new(interval: Duration) -> Model {
        Model {
            snapshot: None,
            tracks: Tracks::new(),
            waiting: Duration::ZERO,
            error: None,
            mode: Mode::Table,
            order: Order { column: Column::Name, is_reversed: false },
            filter: String::new(),
            is_paused: false,
            interval,
            rows: Vec::new(),
            selected: None,
            top: 0,
            page: 1,
            help_top: 0,
        }
    }

    /// Updates the model with a snapshot, or with the reason why the refresh failed.
    pub(crate) fn update(&mut self, refreshed: Result<Snapshot, String>) {
        match refreshed {
            Ok(snapshot) => {
                self.remember(&snapshot);
                self.snapshot = Some(snapshot);
                self.error = None;
                self.arrange();
            }
            Err(error) => {
                self.tracks.values_mut().for_each(super::track::Track::miss);
                self.error = Some(error);
            }
        }
    }

    /// Sorts by the column to the right, and scrolls to the top.
    pub(crate) fn sort_by_next(&mut self) {
        self.sort_by(self.order.column.next());
    }

    /// Sorts by the column to the left, and scrolls to the top.
    pub(crate) fn sort_by_previous(&mut self) {
        self.sort_by(self.order.column.previous());
    }

    fn sort_by(&mut self, column: Column) {
        self.order = Order { column, is_reversed: false };
        self.arrange_from_top();
    }

    /// Reverses the order, and scrolls to the top.
    pub(crate) fn reverse(&mut self) {
        self.order.is_reversed = !self.order.is_reversed;
        self.arrange_from_top();
    }

    pub(crate) fn set_filter(&mut self, filter: String) {
        self.filter = filter;
        self.arrange();
    }

    /// Sets the next longer refresh interval.
    pub(crate) fn lengthen_interval(&mut self) {
        let longer = intervals().find(|step| *step > self.interval);
        self.interval = longer.unwrap_or(self.interval);
    }

    /// Sets the next shorter refresh interval.
    pub(crate) fn shorten_interval(&mut self) {
        let shorter = intervals().rfind(|step| *step < self.interval);
        self.interval = shorter.unwrap_or(self.interval);
    }

    /// Moves the selection by `rows` rows; negative numbers move it up.
    pub(crate) fn move_by(&mut self, rows: isize) {
        let at = self.selected_row().unwrap_or(0);
        let last = self.rows.len().saturating_sub(1);
        let mut to = at.saturating_add_signed(rows).min(last);
        // A remark about a queue is no row that can be selected. The queue is above it.
        let is_row = |to: usize| self.rows.get(to).is_some_and(|row| row.id.is_some());
        while rows > 0 && to < last && !is_row(to) {
            to += 1;
        }
        while to > 0 && !is_row(to) {
            to -= 1;
        }
        self.selected = self.rows.get(to).and_then(|row| row.id.clone());
        self.scroll();
    }

    /// Sets the number of rows that fit on the screen.
    pub(crate) fn set_page(&mut self, page: usize) {
        self.page = page.max(1);
        self.scroll();
    }

    pub(crate) fn selected_row(&self) -> Option<usize> {
        let selected = self.selected.as_ref()?;
        self.rows.iter().position(|row| row.id.as_ref() == Some(selected))
    }

    fn remember(&mut self, snapshot: &Snapshot) {
        let mut before = std::mem::take(&mut self.tracks);
        for measurement in snapshot.measurements() {
            let mut track = before.remove(&measurement.id).unwrap_or_default();
            track.add(snapshot.time, &measurement);
            self.tracks.insert(measurement.id, track);
        }
    }

    fn arrange_from_top(&mut self) {
        self.selected = None;
        self.arrange();
    }

    /// Rebuilds the rows, and keeps the selection. If the selected row is gone, the row at its position is selected.
    /// The selection of the first row stays at the top, so that the first row remains visible.
    fn arrange(&mut self) {
        let Some(snapshot) = &self.snapshot else { return };
        let at = self.selected_row();
        if at == Some(0) {
            self.selected = None;
        }
        self.rows = rows::rows(snapshot, &self.tracks, self.order, &self.filter);
        if self.selected_row().is_none() {
            self.selected = None;
            let at = at.unwrap_or(0).min(self.rows.len().saturating_sub(1));
            let above = self.rows.iter().take(at + 1).rev();
            self.selected = above.filter_map(|row| row.id.clone()).next();
        }
        self.scroll();
    }

    /// Scrolls so that the selected row is visible and the screen is full.
    fn scroll(&mut self) {
        let at = self.selected_row().unwrap_or(0);
        let lowest = self.rows.len().saturating_sub(self.page);
        self.top = self.top.clamp((at + 1).saturating_sub(self.page), at).min(lowest);
    }
}

fn intervals() -> impl DoubleEndedIterator<Item = Duration> {
    INTERVALS.into_iter().map(|tenths| Duration::from_millis(tenths * 100))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{consumer, queue, snapshot};
    use super::*;

    fn model(names: &[&str]) -> Model {
        let mut model = Model::new(Duration::from_secs(2));
        model.update(Ok(snapshot(0, names.iter().map(|name| queue(name, 0)).collect())));
        model
    }

    fn selected(model: &Model) -> &str {
        model.selected.as_ref().map_or("", |id| &id.queue)
    }

    #[test]
    fn rates_need_two_snapshots() {
        let mut model = Model::new(Duration::from_secs(2));
        let look = |second, inserted, processed| {
            let mut queue = queue("q", inserted);
            queue.new_events = Some(second);
            queue.consumers = vec![consumer("c", 0)];
            queue.consumers[0].last_tick_event = Some(processed);
            Ok(snapshot(second, vec![queue]))
        };
        let rates = |model: &Model| -> Vec<_> {
            let rates = model.rows.iter().map(|row| row.cells[Column::Rate as usize].clone());
            rates.collect()
        };
        model.update(look(0, 1000, 500));
        assert_eq!(rates(&model), ["-", "-"]);
        model.update(look(10, 2000, 1000));
        assert_eq!(rates(&model), ["101", "50"]);
        model.update(Err("gone".to_owned()));
        assert_eq!((rates(&model).len(), model.error.as_deref()), (2, Some("gone")));
        model.update(look(20, 2000, 2000));
        assert_eq!((rates(&model), model.error.as_deref()), (vec!["1.0".into(), "100".into()], None));
        let lags: Vec<_> = model.tracks[&model.rows[1].id.clone().expect("a row")].lags().collect();
        assert_eq!(lags, [Some(0), None, Some(0), Some(0)]);
    }

    #[test]
    fn removed_queues_are_forgotten() {
        let mut model = model(&["a", "b"]);
        model.update(Ok(snapshot(1, vec![queue("b", 0)])));
        assert_eq!((model.tracks.len(), selected(&model)), (1, "b"));
        model.update(Ok(snapshot(2, Vec::new())));
        assert_eq!((model.tracks.len(), model.selected.is_none(), model.top), (0, true, 0));
        model.move_by(1);
        model.move_by(-1);
    }

    #[test]
    fn the_selected_row_stays_on_the_screen() {
        let names: Vec<_> = (0..100).map(|at| format!("q{at:02}")).collect();
        let mut model = model(&names.iter().map(String::as_str).collect::<Vec<_>>());
        model.set_page(10);
        let mut check = |rows, expected: &str, top| {
            model.move_by(rows);
            assert_eq!((selected(&model), model.top), (expected, top), "after {rows}");
        };
        check(0, "q00", 0);
        check(-1, "q00", 0);
        check(9, "q09", 0);
        check(1, "q10", 1);
        check(isize::MAX, "q99", 90);
        check(-9, "q90", 90);
        check(-1, "q89", 89);
        check(isize::MIN, "q00", 0);
        model.move_by(50);
        model.set_page(1000);
        assert_eq!(model.top, 0);
        model.set_page(0);
        assert_eq!(model.top, model.selected_row().expect("there"));
    }

    #[test]
    fn the_first_row_stays_visible_after_sorting() {
        let look = |lags: [u64; 4]| {
            let late = lags.iter().enumerate().map(|(at, lag)| {
                let mut queue = queue(&format!("q{at}"), 0);
                queue.ticker_lag = Some(Duration::from_secs(*lag));
                queue
            });
            Ok(snapshot(0, late.collect()))
        };
        let mut model = model(&["q0", "q1", "q2", "q3"]);
        model.set_page(2);
        model.update(look([1, 2, 3, 4]));
        while model.order.column != Column::TickerLag {
            model.sort_by_next();
        }
        assert_eq!((selected(&model), model.top), ("q3", 0));
        model.update(look([1, 2, 9, 4]));
        assert_eq!((selected(&model), model.top), ("q2", 0));
        model.move_by(1);
        assert_eq!((selected(&model), model.top), ("q3", 0));
        model.update(look([7, 8, 9, 1]));
        assert_eq!((selected(&model), model.top), ("q3", 2), "the selected row is followed");
        model.reverse();
        assert_eq!((selected(&model), model.top), ("q3", 0));
        model.move_by(isize::MAX);
        model.reverse();
        assert_eq!((selected(&model), model.top), ("q2", 0));
    }

    #[test]
    fn remarks_are_skipped() {
        let mut held = queue("a", 0);
        held.rotation.held_up_by =
            vec![pgq::status::RotationBlocker::Ticker, pgq::status::RotationBlocker::Maintenance];
        let mut last = queue("b", 0);
        last.rotation.held_up_by = vec![pgq::status::RotationBlocker::Ticker];
        let mut model = Model::new(Duration::from_secs(2));
        model.update(Ok(snapshot(0, vec![held, last])));
        let mut check = |rows, expected: &str| {
            model.move_by(rows);
            assert_eq!(selected(&model), expected, "after {rows}");
        };
        check(1, "b");
        check(1, "b");
        check(-1, "a");
        check(isize::MAX, "b");
    }

    #[test]
    fn the_interval_moves_to_the_next_step() {
        let mut model = model(&[]);
        model.interval = Duration::from_millis(1500);
        model.lengthen_interval();
        assert_eq!(model.interval, Duration::from_secs(2));
        model.shorten_interval();
        assert_eq!(model.interval, Duration::from_secs(1));
        (0..20).for_each(|_| model.shorten_interval());
        assert_eq!(model.interval, Duration::from_millis(100));
        (0..20).for_each(|_| model.lengthen_interval());
        assert_eq!(model.interval, Duration::from_secs(300));
    }
}
