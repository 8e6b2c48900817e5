//! The status as human-readable text.

use std::fmt;
use std::time::Duration;

use dbscript::printable;
use unicode_width::UnicodeWidthStr;

use super::{ConsumerStatus, Cooperation, QueueStatus, Status};

const QUEUE_TITLES: [&str; 7] = ["Event queue", "Rotation", "Ticker", "TLag", "EPS", "New", ""];
const CONSUMER_TITLES: [&str; 7] = ["Consumer", "Lag", "LastSeen", "Pending", "Failed", "Retry", ""];

/// Shows a table of the queues and a table of their consumers. Below, a line shows each ticker. A line that begins with
/// `*` shows each cause that holds up a rotation and each snapshot that is older than a minute, and a line that begins
/// with `!` each problem. A `*` in a table marks the queue and the consumers.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schema = self.schema.map(|kind| format!(" ({kind})")).unwrap_or_default();
        writeln!(
            f,
            "Postgres version: {}   PgQ version: {}{schema}   Database: {}",
            printable(&self.server_version),
            printable(&self.pgq_version),
            printable(&self.database)
        )?;
        let mut queues = vec![QUEUE_TITLES.map(str::to_owned)];
        queues.extend(self.queues.iter().map(queue_cells));
        let mut consumers = vec![CONSUMER_TITLES.map(str::to_owned)];
        for queue in self.queues.iter().filter(|queue| !queue.consumers.is_empty()) {
            let name = [format!("{}:", printable(&queue.name))];
            let cells = name.into_iter().chain(std::iter::repeat_n(String::new(), 6)).collect::<Vec<_>>();
            consumers.extend(cells.try_into());
            consumers.extend(queue.consumers.iter().map(consumer_cells));
        }
        // Both tables begin with a column of the same width.
        let first = [&queues, &consumers].into_iter().flatten().map(|row| row[0].width()).max().unwrap_or(0);
        write_table(f, first, &queues)?;
        if consumers.len() > 1 {
            write_table(f, first, &consumers)?;
        }
        self.write_tickers(f)?;
        self.write_holders(f)?;
        let mut space = "\n";
        for problem in self.problems() {
            writeln!(f, "{space}! {}", printable(&problem))?;
            space = "";
        }
        Ok(())
    }
}

impl Status {
    fn write_tickers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut space = "\n";
        for ticker in &self.tickers {
            writeln!(f, "{space}{ticker}")?;
            space = "";
        }
        Ok(())
    }

    fn write_holders(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut space = "\n";
        for queue in &self.queues {
            for holder in &queue.rotation.held_up_by {
                let text = format!("rotation of {} is held up by {holder}", queue.name);
                writeln!(f, "{space}* {}", printable(&text))?;
                space = "";
            }
        }
        for snapshot in self.old_snapshots.iter().filter(|snapshot| snapshot.is_notable()) {
            let text = format!("dead rows are kept by {snapshot}");
            writeln!(f, "{space}* {}", printable(&text))?;
            space = "";
        }
        Ok(())
    }
}

fn queue_cells(queue: &QueueStatus) -> [String; 7] {
    let QueueStatus { rotation, ticker, .. } = queue;
    let held_up = !rotation.held_up_by.is_empty();
    let notes = [
        (held_up, "*"),
        (queue.paused, "paused"),
        (queue.external, "external"),
        (queue.disabled, "disabled"),
    ];
    [
        printable(&queue.name).into_owned(),
        format!("{}/{}", rotation.tables, exact(rotation.period)),
        format!("{}/{}/{}", ticker.max_count, exact(ticker.max_lag), exact(ticker.idle_period)),
        whole(queue.ticker_lag),
        queue.events_per_second.map_or_else(unknown, |rate| format!("{rate:.1}")),
        number(queue.new_events),
        joined(&notes),
    ]
}

fn consumer_cells(consumer: &ConsumerStatus) -> [String; 7] {
    let notes = [
        (consumer.holds_up_rotation, "*"),
        (consumer.batch.is_some(), "in batch"),
        (consumer.cooperation == Some(Cooperation::Consumer), "cooperative"),
        (consumer.cooperation == Some(Cooperation::Subconsumer), "subconsumer"),
    ];
    [
        format!("  {}", printable(&consumer.name)),
        whole(consumer.lag),
        whole(Some(consumer.last_seen)),
        number(consumer.pending_events),
        number(consumer.failed_events),
        number(consumer.retry_events),
        joined(&notes),
    ]
}

fn joined(notes: &[(bool, &str)]) -> String {
    let held: Vec<&str> = notes.iter().filter(|note| note.0).map(|note| note.1).collect();
    held.join(" ")
}

/// Writes a table: the first column aligned left, the following ones aligned right, and the last one with notes.
fn write_table<const N: usize>(
    f: &mut fmt::Formatter<'_>,
    first: usize,
    rows: &[[String; N]],
) -> fmt::Result {
    let width = |column: usize| rows.iter().map(|row| row[column].width()).max().unwrap_or(0);
    let mut widths: Vec<usize> = (0..N - 1).map(width).collect();
    widths[0] = first;
    writeln!(f)?;
    for row in rows {
        let mut line = String::new();
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let padding = " ".repeat(width.saturating_sub(cell.width()));
            match column {
                0 => line.extend([cell, padding.as_str()]),
                _ => line.extend(["   ", padding.as_str(), cell]),
            }
        }
        line.push_str("  ");
        line.push_str(&row[N - 1]);
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}

fn unknown() -> String {
    "-".to_owned()
}

fn number(number: Option<impl fmt::Display>) -> String {
    number.map_or_else(unknown, |number| number.to_string())
}

fn whole(time: Option<Duration>) -> String {
    time.map_or_else(unknown, |time| format!("{}s", time.as_secs()))
}

fn exact(time: Duration) -> String {
    format!("{}s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::LockHolder;
    use crate::status::{Rotation, RotationBlocker, TickThresholds, TickerSession};

    fn status() -> Status {
        let seconds = Duration::from_secs;
        let ticker = TickThresholds { max_count: 500, max_lag: seconds(3), idle_period: seconds(60) };
        let rotation = Rotation { tables: 3, period: seconds(7200), ..Rotation::default() };
        let mailer = QueueStatus {
            name: "mailer".to_owned(),
            rotation,
            ticker,
            ticker_lag: Some(seconds(2)),
            ..QueueStatus::default()
        };
        Status {
            database: "somedb".to_owned(),
            server_version: "15.1".to_owned(),
            pgq_version: "3.5".to_owned(),
            schema: Some(crate::schema::Kind::Own),
            time: chrono::DateTime::UNIX_EPOCH,
            unentitled_lock_holders: Vec::new(),
            tickers: Vec::new(),
            queues: vec![mailer],
            findings: Vec::new(),
            old_snapshots: Vec::new(),
        }
    }

    #[test]
    fn a_queue_without_consumers_is_one_line() {
        let expected = "\
Postgres version: 15.1   PgQ version: 3.5 (own)   Database: somedb

Event queue   Rotation       Ticker   TLag   EPS   New
mailer         3/7200s   500/3s/60s     2s     -     -
";
        assert_eq!(status().to_string(), expected);
    }

    #[test]
    fn tickers_are_below_the_tables() {
        let mut status = status();
        let session = LockHolder { pid: Some(7), user: Some("app".to_owned()), ..LockHolder::default() };
        status.tickers =
            [true, false].map(|is_leader| TickerSession { is_leader, session: session.clone() }).to_vec();
        let shown = status.to_string();
        let below = "\n\nTicker: process 7 (user `app`)\nStandby: process 7 (user `app`)\n";
        assert!(shown.ends_with(below), "{shown}");
    }

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let mut status = status();
        let queue = &mut status.queues[0];
        queue.paused = true;
        queue.events_per_second = Some(12345.67);
        queue.ticker.max_lag = Duration::from_millis(500);
        let holder =
            RotationBlocker::Consumer { name: "日本\u{1b}[1m".to_owned(), lag: Duration::from_secs(90000) };
        queue.rotation.held_up_by = vec![holder];
        queue.consumers.push(ConsumerStatus {
            name: "日本\u{1b}[1m".to_owned(),
            lag: Some(Duration::from_secs(90000)),
            pending_events: Some(12_345_678),
            failed_events: Some(3),
            batch: Some(7),
            holds_up_rotation: true,
            ..ConsumerStatus::default()
        });
        let expected = "\
Postgres version: 15.1   PgQ version: 3.5 (own)   Database: somedb

Event queue       Rotation         Ticker   TLag       EPS   New
mailer             3/7200s   500/0.5s/60s     2s   12345.7     -  * paused

Consumer             Lag   LastSeen    Pending   Failed   Retry
mailer:
  日本\\u{1b}[1m   90000s         0s   12345678        3       -  * in batch

* rotation of mailer is held up by consumer `日本\\u{1b}[1m`, 90000s behind
";
        assert_eq!(status.to_string(), expected);
    }
}
