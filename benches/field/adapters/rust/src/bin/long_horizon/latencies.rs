//! Latencies of the last 30 seconds in bounded memory.

use field_adapters::BoxError;
use hdrhistogram::Histogram;

/// The seconds that count.
pub(crate) const WINDOW: u64 = 30;
/// One hour in microseconds. A longer latency counts as this.
const MOST: u64 = 3_600_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// A histogram of microseconds for each of the last seconds.
pub(crate) struct Latencies {
    /// The histogram of second `s` is number `s % WINDOW`.
    seconds: Vec<Second>,
}

struct Second {
    number: u64,
    histogram: Histogram<u32>,
}

impl Latencies {
    /// Makes histograms without values.
    ///
    /// # Errors
    ///
    /// Never with valid bounds.
    pub(crate) fn new() -> Result<Latencies, BoxError> {
        let mut seconds = Vec::new();
        for number in 0..WINDOW {
            seconds.push(Second { number, histogram: histogram()? });
        }
        Ok(Latencies { seconds })
    }

    /// Adds a latency of an event whose handler started in a second since 1970.
    pub(crate) fn record(&mut self, second: u64, microseconds: u64) {
        let index = (second % WINDOW) as usize;
        let entry = &mut self.seconds[index];
        if entry.number != second {
            entry.number = second;
            entry.histogram.reset();
        }
        entry.histogram.saturating_record(microseconds);
    }

    /// Returns quantiles of the 30 seconds before a second, in milliseconds; zeros without an event.
    ///
    /// # Errors
    ///
    /// Never with valid bounds.
    pub(crate) fn quantiles<const N: usize>(
        &self,
        second: u64,
        quantiles: [f64; N],
    ) -> Result<[f64; N], BoxError> {
        let mut sum = histogram()?;
        for entry in &self.seconds {
            if entry.number < second && entry.number + WINDOW >= second {
                sum.add(&entry.histogram)?;
            }
        }
        Ok(quantiles.map(|quantile| sum.value_at_quantile(quantile) as f64 / 1_000.0))
    }
}

fn histogram() -> Result<Histogram<u32>, BoxError> {
    Ok(Histogram::new_with_bounds(1, MOST, SIGNIFICANT_DIGITS)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUANTILES: [f64; 3] = [0.5, 0.95, 0.99];

    fn latencies() -> Latencies {
        Latencies::new().expect("the bounds are valid")
    }

    #[test]
    fn quantiles_have_three_digits() {
        let mut latencies = latencies();
        (1..=1_000).for_each(|value| latencies.record(100 + value % 20, value * 1_000));
        let quantiles = latencies.quantiles(120, QUANTILES).expect("the bounds are equal");
        for (quantile, expected) in quantiles.into_iter().zip([500.0, 950.0, 990.0]) {
            assert!((quantile - expected).abs() <= expected / 1_000.0, "{quantile} instead of {expected}");
        }
    }

    #[test]
    fn only_the_last_thirty_seconds_count() {
        let mut latencies = latencies();
        latencies.record(100, 9_000);
        latencies.record(101, 1_000);
        let median =
            |latencies: &Latencies, second| latencies.quantiles(second, [1.0]).expect("equal bounds")[0];
        assert_eq!(median(&latencies, 130).round(), 9.0);
        assert_eq!(median(&latencies, 131).round(), 1.0);
        assert_eq!(median(&latencies, 132), 0.0);
        // The second takes the place of the one 30 seconds before.
        latencies.record(130, 2_000);
        assert_eq!(median(&latencies, 131).round(), 2.0);
    }

    #[test]
    fn a_latency_beyond_an_hour_counts_as_an_hour() {
        let mut latencies = latencies();
        latencies.record(100, u64::MAX);
        let [most] = latencies.quantiles(101, [1.0]).expect("the bounds are equal");
        assert!((most - 3_600_000.0).abs() <= 3_600.0, "{most}");
    }
}
