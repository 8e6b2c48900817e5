//! The rows of the table: queues with their consumers, sorted and filtered.

use std::cmp::Ordering;
use std::collections::HashMap;

use dbscript::printable;
use pgq::status::{ConsumerStatus, Cooperation, QueueStatus};

use super::column::Column;
use super::snapshot::{Id, Snapshot};
use super::track::Track;

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Row {
    /// The queue or the consumer; `None` for a remark about the queue above.
    pub(crate) id: Option<Id>,
    pub(crate) indent: usize,
    /// The cells of the columns, or the text of a remark.
    pub(crate) cells: Vec<String>,
    /// True if this consumer holds up a rotation, or the rotation of this queue is held up.
    pub(crate) is_alarm: bool,
}

/// The order of rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) column: Column,
    /// True for the reverse order: descending by name, ascending by value.
    pub(crate) is_reversed: bool,
}

/// The history of each queue and consumer.
pub(crate) type Tracks = HashMap<Id, Track>;

/// Returns the rows of a snapshot that match `filter`, a part of the name of a queue or a consumer. The case of letters
/// does not matter.
pub(crate) fn rows(snapshot: &Snapshot, tracks: &Tracks, order: Order, filter: &str) -> Vec<Row> {
    let filter = filter.to_lowercase();
    let matches = |name: &str| name.to_lowercase().contains(&filter);
    let mut rows = Vec::new();
    for queue in order.sorted(&snapshot.queues, |queue| (queue_value(order, queue, tracks), &queue.name)) {
        let is_match = matches(&queue.name);
        let consumers = order.sorted(&queue.consumers, |consumer| {
            (consumer_value(order, queue, consumer, tracks), &consumer.name)
        });
        let consumers: Vec<_> =
            consumers.into_iter().filter(|consumer| is_match || matches(&consumer.name)).collect();
        if !is_match && consumers.is_empty() {
            continue;
        }
        rows.push(queue_row(queue, tracks));
        rows.extend(queue.rotation.held_up_by.iter().map(|holder| Row {
            id: None,
            indent: 2,
            cells: vec![format!("rotation held up by {}", printable(&holder.to_string()))],
            is_alarm: true,
        }));
        rows.extend(consumers.into_iter().map(|consumer| consumer_row(queue, consumer, tracks)));
    }
    rows
}

impl Order {
    /// Sorts by value, the largest first and rows without a value last, and then by name.
    fn sorted<'a, T>(self, all: &'a [T], key: impl Fn(&'a T) -> (Option<f64>, &'a String)) -> Vec<&'a T> {
        let mut sorted: Vec<_> = all.iter().map(|one| (key(one), one)).collect();
        let turned = |order: Ordering| if self.is_reversed { order.reverse() } else { order };
        sorted.sort_by(|((a, a_name), _), ((b, b_name), _)| {
            let by_value = match (a, b) {
                (Some(a), Some(b)) => turned(b.total_cmp(a)),
                (a, b) => b.is_some().cmp(&a.is_some()),
            };
            let by_name = a_name.cmp(b_name);
            by_value.then(if self.column == Column::Name { turned(by_name) } else { by_name })
        });
        sorted.into_iter().map(|(_, one)| one).collect()
    }
}

fn queue_value(order: Order, queue: &QueueStatus, tracks: &Tracks) -> Option<f64> {
    order.column.queue_value(queue, tracks.get(&Id::queue(queue)).unwrap_or(&Track::default()))
}

fn consumer_value(
    order: Order,
    queue: &QueueStatus,
    consumer: &ConsumerStatus,
    tracks: &Tracks,
) -> Option<f64> {
    order.column.consumer_value(consumer, tracks.get(&Id::consumer(queue, consumer)))
}

fn queue_row(queue: &QueueStatus, tracks: &Tracks) -> Row {
    let id = Id::queue(queue);
    let nothing = Track::default();
    let track = tracks.get(&id).unwrap_or(&nothing);
    let cells = Column::ALL.iter().map(|column| column.of_queue(queue, track)).collect();
    Row { id: Some(id), indent: 0, cells, is_alarm: !queue.rotation.held_up_by.is_empty() }
}

fn consumer_row(queue: &QueueStatus, consumer: &ConsumerStatus, tracks: &Tracks) -> Row {
    let id = Id::consumer(queue, consumer);
    let nothing = Track::default();
    let track = tracks.get(&id).unwrap_or(&nothing);
    let cells = Column::ALL.iter().map(|column| column.of_consumer(consumer, track)).collect();
    let indent = if consumer.cooperation == Some(Cooperation::Subconsumer) { 4 } else { 2 };
    Row { id: Some(id), indent, cells, is_alarm: consumer.holds_up_rotation }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::testing::{consumer, queue, snapshot};
    use super::*;

    fn names(queues: Vec<QueueStatus>, column: Column, is_reversed: bool, filter: &str) -> Vec<String> {
        let order = Order { column, is_reversed };
        let rows = rows(&snapshot(0, queues), &Tracks::new(), order, filter);
        rows.into_iter().map(|row| format!("{}{}", " ".repeat(row.indent), row.cells[0])).collect()
    }

    fn two() -> Vec<QueueStatus> {
        let mut first = queue("a", 0);
        first.consumers = vec![consumer("slow", 9), consumer("quick", 1)];
        first.ticker_lag = Some(Duration::from_secs(1));
        let mut second = queue("b", 0);
        second.consumers = vec![consumer("middle", 5), consumer("c1", 2), consumer("Last", 20)];
        second.consumers[1].lag = None;
        vec![second, first]
    }

    #[test]
    fn rows_are_sorted_by_name_at_first() {
        assert_eq!(
            names(two(), Column::Name, false, ""),
            ["a", "  quick", "  slow", "b", "  Last", "  c1", "  middle"]
        );
        assert_eq!(
            names(two(), Column::Name, true, ""),
            ["b", "  middle", "  c1", "  Last", "a", "  slow", "  quick"]
        );
    }

    #[test]
    fn a_queue_is_as_late_as_its_last_consumer() {
        assert_eq!(
            names(two(), Column::Lag, false, ""),
            ["b", "  Last", "  middle", "  c1", "a", "  slow", "  quick"]
        );
        assert_eq!(
            names(two(), Column::Lag, true, ""),
            ["a", "  quick", "  slow", "b", "  middle", "  Last", "  c1"]
        );
    }

    #[test]
    fn rows_without_a_value_are_last() {
        for is_reversed in [false, true] {
            let names = names(two(), Column::TickerLag, is_reversed, "");
            assert_eq!(names[0], "a", "{names:?}");
        }
    }

    #[test]
    fn a_filter_keeps_queues_and_consumers() {
        assert_eq!(names(two(), Column::Name, false, "A"), ["a", "  quick", "  slow", "b", "  Last"]);
        assert_eq!(names(two(), Column::Name, false, "last"), ["b", "  Last"]);
        assert!(names(two(), Column::Name, false, "nobody").is_empty());
    }

    #[test]
    fn holders_of_a_rotation_are_below_the_queue() {
        let mut held = queue("a", 0);
        held.rotation.held_up_by = vec![pgq::status::RotationBlocker::Ticker];
        held.consumers = vec![consumer("c", 0)];
        let order = Order { column: Column::Name, is_reversed: false };
        let rows = rows(&snapshot(0, vec![held]), &Tracks::new(), order, "");
        let seen: Vec<_> =
            rows.iter().map(|row| (row.cells[0].as_str(), row.is_alarm, row.id.is_some())).collect();
        let text = "rotation held up by the ticker, which has made no recent tick";
        assert_eq!(seen, [("a", true, true), (text, true, false), ("c", false, true)]);
    }
}
