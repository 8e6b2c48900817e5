//! The logs of producers and consumers. Times are microseconds since 1970.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use crate::BoxError;
use crate::record::Figures;

/// Returns the present time.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// A transaction of a producer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Produced {
    pub(crate) first: u64,
    pub(crate) count: u64,
    pub(crate) began: u64,
    pub(crate) committed: u64,
}

/// A call of a handler.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) number: u64,
    pub(crate) at: u64,
}

/// Reads the log of a producer.
///
/// # Errors
///
/// When there is none.
pub(crate) fn produced(path: &Path) -> Result<Vec<Produced>, BoxError> {
    rows(path, |[first, count, began, committed]| Produced { first, count, began, committed })
}

/// Reads the log of a consumer. The log of a killed consumer may end within a line.
///
/// # Errors
///
/// When there is none.
pub(crate) fn seen(path: &Path) -> Result<Vec<Seen>, BoxError> {
    rows(path, |[number, at]| Seen { number, at })
}

/// Counts the events in the log of a consumer, each once.
///
/// # Errors
///
/// When there is no log.
pub(crate) fn count_seen(path: &Path) -> Result<u64, BoxError> {
    let numbers: HashSet<u64> = seen(path)?.iter().map(|one| one.number).collect();
    Ok(numbers.len() as u64)
}

fn rows<const N: usize, T>(path: &Path, row: impl Fn([u64; N]) -> T) -> Result<Vec<T>, BoxError> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let numbers = |line: &str| -> Option<[u64; N]> {
        line.split_whitespace().map(|word| word.parse().ok()).collect::<Option<Vec<u64>>>()?.try_into().ok()
    };
    Ok(whole.filter_map(numbers).map(row).collect())
}

/// The times of one event, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    /// When the handler began, in seconds since the first transaction.
    pub(crate) time: f64,
    /// From the commit to the handler.
    pub(crate) pickup: f64,
    /// From the start of the transaction to the handler.
    pub(crate) end_to_end: f64,
}

/// Returns the times of each event's first delivery.
pub(crate) fn latencies(produced: &[Produced], seen: &[Seen]) -> Vec<Latency> {
    let mut times: HashMap<u64, &Produced> = HashMap::new();
    for transaction in produced {
        let numbers = transaction.first..transaction.first + transaction.count;
        times.extend(numbers.map(|number| (number, transaction)));
    }
    let start = start(produced);
    let mut seen = seen.to_vec();
    seen.sort_by_key(|one| one.at);
    let millis = |from: u64, to: u64| to.saturating_sub(from) as f64 / 1e3;
    seen.iter()
        .filter_map(|one| {
            let transaction = times.remove(&one.number)?;
            Some(Latency {
                time: millis(start, one.at) / 1e3,
                pickup: millis(transaction.committed, one.at),
                end_to_end: millis(transaction.began, one.at),
            })
        })
        .collect()
}

/// Returns the time of the first transaction.
pub(crate) fn start(produced: &[Produced]) -> u64 {
    produced.iter().map(|transaction| transaction.began).min().unwrap_or(0)
}

/// Returns the seconds from the start of the first transaction to the commit of the last one.
pub(crate) fn seconds(produced: &[Produced]) -> f64 {
    let end = produced.iter().map(|transaction| transaction.committed).max().unwrap_or(0);
    end.saturating_sub(start(produced)) as f64 / 1e6
}

/// Adds percentiles of times in milliseconds.
pub(crate) fn add_percentiles(figures: &mut Figures, name: &str, mut times: Vec<f64>) {
    times.sort_by(f64::total_cmp);
    for (label, part) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)] {
        if let Some(time) = percentile(&times, part) {
            figures.insert(format!("{name} {label} ms"), time);
        }
    }
}

/// Returns the value below which this part of the sorted values lies.
pub(crate) fn percentile(sorted: &[f64], part: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last as f64 * part).round() as usize).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_those_of_the_first_delivery() {
        let produced = [Produced { first: 4, count: 2, began: 1_000, committed: 3_000 }];
        let seen = [(5, 9_000), (4, 7_000), (4, 4_000), (9, 5_000)].map(|(number, at)| Seen { number, at });
        let latencies: Vec<_> =
            latencies(&produced, &seen).iter().map(|one| (one.pickup, one.end_to_end)).collect();
        assert_eq!(latencies, [(1.0, 3.0), (6.0, 8.0)]);
    }

    #[test]
    fn a_line_without_an_end_is_left_out() {
        let file = tempfile::NamedTempFile::new().expect("a temporary folder exists");
        fs::write(file.path(), "1 10\n2 20\n3 3").expect("the file is writable");
        let numbers: Vec<u64> =
            seen(file.path()).expect("the file exists").iter().map(|one| one.number).collect();
        assert_eq!(numbers, [1, 2]);
    }

    #[test]
    fn an_event_that_was_handled_again_counts_once() {
        let file = tempfile::NamedTempFile::new().expect("a temporary folder exists");
        fs::write(file.path(), "1 10\n2 20\n1 30\n").expect("the file is writable");
        assert_eq!(count_seen(file.path()).expect("the file exists"), 2);
    }

    #[test]
    fn percentiles_are_values_of_the_list() {
        let sorted = [1.0, 2.0, 3.0];
        assert_eq!([0.0, 0.5, 1.0].map(|part| percentile(&sorted, part)), [Some(1.0), Some(2.0), Some(3.0)]);
        assert_eq!(percentile(&[], 0.5), None);
    }
}
