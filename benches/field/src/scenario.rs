//! The scenarios.

mod away;
mod crash;
mod drain;
mod fan_out;
mod old_snapshot;
mod poison;
mod produce;
mod steady;

use crate::BoxError;
use crate::record::Figures;
use crate::run::Run;
use crate::size::Size;

/// A scenario.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scenario {
    Produce,
    Drain,
    Steady,
    FanOut,
    OldSnapshot,
    Away,
    Poison,
    Crash,
}

/// The results of a scenario.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) figures: Figures,
    pub(crate) series: Vec<Figures>,
}

impl Outcome {
    /// Adds a figure.
    pub(crate) fn add(&mut self, name: &str, value: f64) {
        self.figures.insert(name.to_owned(), value);
    }
}

impl Scenario {
    /// All scenarios, in the order of a run.
    pub(crate) const ALL: [Scenario; 8] = [
        Scenario::Produce,
        Scenario::Drain,
        Scenario::Steady,
        Scenario::FanOut,
        Scenario::OldSnapshot,
        Scenario::Away,
        Scenario::Poison,
        Scenario::Crash,
    ];

    /// The scenarios of a short run. The clients in `crash` need up to 90 seconds to run a killed consumer's events again.
    pub(crate) const SHORT: [Scenario; 7] = [
        Scenario::Produce,
        Scenario::Drain,
        Scenario::Steady,
        Scenario::FanOut,
        Scenario::OldSnapshot,
        Scenario::Away,
        Scenario::Poison,
    ];

    /// Returns the name in options and results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Scenario::Produce => "produce",
            Scenario::Drain => "drain",
            Scenario::Steady => "steady",
            Scenario::FanOut => "fan_out",
            Scenario::OldSnapshot => "old_snapshot",
            Scenario::Away => "away",
            Scenario::Poison => "poison",
            Scenario::Crash => "crash",
        }
    }

    /// Returns the forms of the scenario: events a transaction, events a second, or consumers. A scenario of one form has an
    /// empty name.
    pub(crate) fn variants(self, size: &Size) -> &'static [&'static str] {
        match self {
            Scenario::Produce => &produce::VARIANTS,
            Scenario::Steady => size.rates,
            Scenario::FanOut => &fan_out::VARIANTS,
            _ => &[""],
        }
    }

    /// Measures one contestant.
    ///
    /// # Errors
    ///
    /// When the contestant fails.
    pub(crate) fn measure(self, run: &mut Run<'_>, variant: &str) -> Result<Outcome, BoxError> {
        match self {
            Scenario::Produce => produce::measure(run, variant),
            Scenario::Drain => drain::measure(run),
            Scenario::Steady => steady::measure(run, variant),
            Scenario::FanOut => fan_out::measure(run, variant),
            Scenario::OldSnapshot => old_snapshot::measure(run),
            Scenario::Away => away::measure(run),
            Scenario::Poison => poison::measure(run),
            Scenario::Crash => crash::measure(run),
        }
    }
}
