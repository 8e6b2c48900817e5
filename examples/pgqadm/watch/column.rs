//! The columns of the table.

use dbscript::printable;
use pgq::status::{ConsumerStatus, QueueStatus};

use super::format::{count, duration, rate, setting};
use super::track::Track;

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    Name,
    Rotation,
    Ticker,
    TickerLag,
    PerSecond,
    New,
    Rate,
    Lag,
    LastSeen,
    Pending,
    Retry,
    Failed,
}

impl Column {
    /// The columns in their order on the screen.
    pub(crate) const ALL: [Column; 12] = [
        Column::Name,
        Column::Rotation,
        Column::Ticker,
        Column::TickerLag,
        Column::PerSecond,
        Column::New,
        Column::Rate,
        Column::Lag,
        Column::LastSeen,
        Column::Pending,
        Column::Retry,
        Column::Failed,
    ];

    /// The columns that a narrow screen omits, in the order of omission.
    pub(crate) const DROP_ORDER: [Column; 11] = [
        Column::Ticker,
        Column::PerSecond,
        Column::Rotation,
        Column::Retry,
        Column::New,
        Column::Failed,
        Column::LastSeen,
        Column::TickerLag,
        Column::Rate,
        Column::Pending,
        Column::Lag,
    ];

    /// Returns the heading of the column.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Column::Name => "Queue/consumer",
            Column::Rotation => "Rotation",
            Column::Ticker => "Ticker",
            Column::TickerLag => "TLag",
            Column::PerSecond => "EPS",
            Column::New => "New",
            Column::Rate => "Ev/s",
            Column::Lag => "Lag",
            Column::LastSeen => "LastSeen",
            Column::Pending => "Pending",
            Column::Retry => "Retry",
            Column::Failed => "Failed",
        }
    }

    /// Returns the column to the right; after the last column comes the first.
    pub(crate) fn next(self) -> Column {
        Column::ALL[(self as usize + 1) % Column::ALL.len()]
    }

    /// Returns the column to the left; before the first column comes the last.
    pub(crate) fn previous(self) -> Column {
        Column::ALL[(self as usize + Column::ALL.len() - 1) % Column::ALL.len()]
    }

    /// Returns the cell of a queue in this column.
    pub(crate) fn of_queue(self, queue: &QueueStatus, track: &Track) -> String {
        let (rotation, ticker) = (&queue.rotation, &queue.ticker);
        match self {
            Column::Name => printable(&queue.name).into_owned(),
            Column::Rotation => {
                let table = u64::from(rotation.table) + 1;
                format!("{table}/{} {}", rotation.tables, setting(rotation.period))
            }
            Column::Ticker if queue.paused => "paused".to_owned(),
            Column::Ticker if queue.external => "external".to_owned(),
            Column::Ticker => {
                let (lag, idle) = (setting(ticker.max_lag), setting(ticker.idle_period));
                format!("{}/{lag}/{idle}", ticker.max_count)
            }
            Column::TickerLag => or_dash(queue.ticker_lag, duration),
            Column::PerSecond => or_dash(queue.events_per_second, rate),
            Column::New => or_dash(queue.new_events, count),
            Column::Rate => or_dash(track.rate(), rate),
            Column::Retry => or_dash(queue.retry_events.map(u64::cast_signed), count),
            Column::Lag | Column::LastSeen | Column::Pending | Column::Failed => String::new(),
        }
    }

    /// Returns the cell of a consumer in this column.
    pub(crate) fn of_consumer(self, consumer: &ConsumerStatus, track: &Track) -> String {
        match self {
            Column::Name => printable(&consumer.name).into_owned(),
            Column::Rate => or_dash(track.rate(), rate),
            Column::Lag => or_dash(consumer.lag, duration),
            Column::LastSeen => duration(consumer.last_seen),
            Column::Pending => or_dash(consumer.pending_events, count),
            Column::Retry => or_dash(consumer.retry_events.map(u64::cast_signed), count),
            Column::Failed => or_dash(consumer.failed_events.map(u64::cast_signed), count),
            Column::Rotation | Column::Ticker | Column::TickerLag | Column::PerSecond | Column::New => {
                String::new()
            }
        }
    }

    /// Returns the value by which queues are sorted: in a consumers' column, the largest value of the queue's
    /// consumers.
    pub(crate) fn queue_value(self, queue: &QueueStatus, track: &Track) -> Option<f64> {
        let worst = || queue.consumers.iter().filter_map(|consumer| self.consumer_value(consumer, None));
        match self {
            Column::Name => None,
            Column::Rotation => Some(queue.rotation.age.as_secs_f64()),
            Column::Ticker => Some(queue.ticker.max_lag.as_secs_f64()),
            Column::TickerLag => queue.ticker_lag.map(|lag| lag.as_secs_f64()),
            Column::PerSecond => queue.events_per_second,
            Column::New => queue.new_events.map(|new| new as f64),
            Column::Rate => track.rate(),
            Column::Retry => queue.retry_events.map(|events| events as f64),
            Column::Lag | Column::LastSeen | Column::Pending | Column::Failed => worst().reduce(f64::max),
        }
    }

    /// Returns the value by which consumers are sorted. `None` sorts by name.
    pub(crate) fn consumer_value(self, consumer: &ConsumerStatus, track: Option<&Track>) -> Option<f64> {
        match self {
            Column::Rate => track.and_then(Track::rate),
            Column::Lag => consumer.lag.map(|lag| lag.as_secs_f64()),
            Column::LastSeen => Some(consumer.last_seen.as_secs_f64()),
            Column::Pending => consumer.pending_events.map(|events| events as f64),
            Column::Retry => consumer.retry_events.map(|events| events as f64),
            Column::Failed => consumer.failed_events.map(|events| events as f64),
            _ => None,
        }
    }
}

/// Formats a value, or returns `-` for none.
fn or_dash<T>(value: Option<T>, write: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), write)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_but_the_name_may_be_omitted() {
        for (at, column) in Column::ALL.into_iter().enumerate() {
            assert_eq!(column as usize, at);
            assert_eq!(Column::DROP_ORDER.contains(&column), column != Column::Name, "{column:?}");
        }
    }

    #[test]
    fn the_columns_form_a_ring() {
        assert_eq!(Column::Failed.next(), Column::Name);
        assert_eq!(Column::Name.previous(), Column::Failed);
        assert!(Column::ALL.into_iter().all(|column| column.next().previous() == column));
    }
}
