//! Tables and plots of a run.

mod columns;
mod plots;
mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::BoxError;
use crate::record::{self, Figures, Measurement, Record};

/// The measurements of one scenario on one server.
#[derive(Default)]
struct Group {
    /// The turns of each contestant, in the order of their rounds.
    turns: BTreeMap<String, Vec<Measurement>>,
    failures: BTreeMap<String, String>,
}

/// The order of the groups.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Key {
    postgres: String,
    durability: String,
    scenario: String,
    /// Numbers first, in their order.
    number: u64,
    variant: String,
}

impl Key {
    fn title(&self) -> String {
        let variant = match self.variant.as_str() {
            "" => String::new(),
            variant => format!(", {}: {variant}", columns::meaning_of_variant(&self.scenario)),
        };
        format!("{}{variant} ({})", self.scenario, self.server())
    }

    fn server(&self) -> String {
        format!("PostgreSQL {}, synchronous_commit = {}", self.postgres, self.durability)
    }

    fn file(&self) -> String {
        let parts = [&self.scenario, &self.variant, &self.postgres, &self.durability];
        let parts: Vec<&str> =
            parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        parts.join("-")
    }
}

/// A figure over the rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    fn of(turns: &[Measurement], name: &str) -> Option<Spread> {
        let mut values: Vec<f64> = turns.iter().filter_map(|turn| turn.figures.get(name)).copied().collect();
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Some(Spread { median, least, most })
    }
}

/// Writes `report.md` and plots into a folder of results.
///
/// # Errors
///
/// When the results cannot be read, or the folder cannot be written.
pub(crate) fn write(folder: &Path) -> Result<(), BoxError> {
    let records = record::read(folder)?;
    let names = display_names(&records);
    let run = name_of_run(&records);
    let mut text = String::from("# Queues in PostgreSQL side by side\n\n");
    text += &tables::environments(&records);
    text += &tables::contestants(&records);
    let groups = groups(&records);
    for (key, group) in &groups {
        text += &format!("\n## {}\n\n", key.title());
        text += &tables::figures(&key.scenario, group, &names);
        for plot in plots::write(folder, &run, key, group, &names)? {
            text += &format!("\n![{}]({plot})\n", key.title());
        }
    }
    for (title, plot) in plots::write_across(folder, &run, &groups, &names)? {
        text += &format!("\n## {title}\n\n![{title}]({plot})\n");
    }
    fs::write(folder.join("report.md"), text)?;
    println!("{}", folder.join("report.md").display());
    Ok(())
}

/// Returns the name of the run for plots: the machine and when the first server was started.
fn name_of_run(records: &[Record]) -> String {
    let facts = records.iter().find_map(|record| match record {
        Record::Environment { facts } => Some(facts),
        _ => None,
    });
    let fact = |wanted: &str| {
        let found = facts.into_iter().flatten().find(|(name, _)| name == wanted);
        found.map(|(_, text)| text.as_str()).unwrap_or_default()
    };
    format!("run of {}, {}, {} cores", fact("begun"), fact("processor"), fact("cores"))
}

type Names = BTreeMap<String, String>;
type Groups = BTreeMap<Key, Group>;

fn display_names(records: &[Record]) -> Names {
    let name = |record: &Record| match record {
        Record::Descriptor { contestant, display_name, .. } => {
            Some((contestant.clone(), display_name.clone()))
        }
        _ => None,
    };
    records.iter().filter_map(name).collect()
}

/// Sorts the records. A later measurement of the same turn replaces an earlier one.
fn groups(records: &[Record]) -> Groups {
    let mut groups = Groups::new();
    for record in records {
        match record {
            Record::Measurement(measurement) => {
                let group = groups.entry(key(&measurement.place)).or_default();
                let turns = group.turns.entry(measurement.place.contestant.clone()).or_default();
                turns.retain(|turn| turn.place.round != measurement.place.round);
                turns.push(measurement.clone());
                group.failures.remove(&measurement.place.contestant);
            }
            Record::Failure { place, reason } => {
                let group = groups.entry(key(place)).or_default();
                group.failures.insert(place.contestant.clone(), reason.clone());
            }
            Record::Environment { .. } | Record::Descriptor { .. } => {}
        }
    }
    groups
}

fn key(place: &record::Place) -> Key {
    Key {
        postgres: place.postgres.clone(),
        durability: place.durability.clone(),
        scenario: place.scenario.clone(),
        number: place.variant.parse().unwrap_or(u64::MAX),
        variant: place.variant.clone(),
    }
}

/// Returns the names of all figures of a series.
fn names_of(series: &[Figures]) -> BTreeSet<&str> {
    series.iter().flat_map(|figures| figures.keys().map(String::as_str)).collect()
}
