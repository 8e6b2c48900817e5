//! Works and their contestants.

use crate::BoxError;
use crate::process::Sample;
use crate::testbed::Testbed;

/// The role of a contestant in the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The contestant that sets the limit.
    Limit,
    /// The peer to beat.
    Python,
    /// Any other contestant.
    Other,
}

/// A turn of a contestant: preparation, measurement, verification.
pub(crate) type Turn<'a> = Box<dyn Fn(u32) -> Result<Sample, BoxError> + 'a>;

/// A contestant of a work.
pub(crate) struct Contestant<'a> {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    pub(crate) turn: Turn<'a>,
}

/// The samples of a work.
pub(crate) struct Results {
    pub(crate) title: String,
    pub(crate) events: u64,
    pub(crate) rows: Vec<Row>,
}

/// The samples of a contestant.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    pub(crate) samples: Vec<Sample>,
}

impl Row {
    /// Returns the median time in seconds.
    pub(crate) fn median(&self) -> f64 {
        let seconds: Vec<f64> = self.samples.iter().map(|sample| sample.seconds).collect();
        median(&seconds)
    }

    /// Returns the times in seconds, the shortest first.
    pub(crate) fn sorted(&self) -> Vec<f64> {
        let mut seconds: Vec<f64> = self.samples.iter().map(|sample| sample.seconds).collect();
        seconds.sort_by(f64::total_cmp);
        seconds
    }

    /// Returns the highest peak, in MB.
    pub(crate) fn peak_mb(&self) -> f64 {
        let peak = self.samples.iter().map(|sample| sample.peak).max().unwrap_or(0);
        peak as f64 * 1024.0 / 1e6
    }
}

impl Results {
    /// Returns the median time of the contestant with a role.
    pub(crate) fn median_of(&self, role: Role) -> Option<f64> {
        self.rows.iter().find(|row| row.role == role).map(Row::median)
    }
}

/// Runs the contestants in turn, round by round.
///
/// # Errors
///
/// When a contestant fails or has a wrong result.
pub(crate) fn measure(
    testbed: &Testbed,
    title: String,
    events: u64,
    contestants: &[Contestant<'_>],
) -> Result<Results, BoxError> {
    let row = |one: &Contestant<'_>| Row { name: one.name, role: one.role, samples: Vec::new() };
    let mut rows: Vec<Row> = contestants.iter().map(row).collect();
    for round in 1..=testbed.rounds() {
        for (contestant, row) in contestants.iter().zip(&mut rows) {
            testbed.settle()?;
            let sample = (contestant.turn)(round)
                .map_err(|error| format!("{}: {}", contestant.name, dbscript::describe(&*error)))?;
            eprintln!(
                "{title}, round {round}: {}: {:.3} s, {} kB",
                contestant.name, sample.seconds, sample.peak
            );
            row.samples.push(sample);
        }
    }
    Ok(Results { title, events, rows })
}

/// Returns the median of numbers.
pub(crate) fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}
