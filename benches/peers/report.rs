//! The report, as text and JSON.

use crate::aims::Aim;
use crate::comparison::Figure;
use crate::json::Json;
use crate::machine::Machine;
use crate::options::Options;
use crate::ticking::Table;
use crate::work::{Results, Role, Row, median};

/// All figures of a run.
pub(crate) struct Report {
    machine: Machine,
    rounds: u32,
    works: Vec<Results>,
    comparison: Vec<Figure>,
    tables: Vec<Table>,
    aims: Vec<Aim>,
}

impl Report {
    /// Creates a report without figures.
    pub(crate) fn new(machine: Machine, options: &Options) -> Report {
        Report {
            machine,
            rounds: options.rounds,
            works: Vec::new(),
            comparison: Vec::new(),
            tables: Vec::new(),
            aims: Vec::new(),
        }
    }

    /// Adds the figures of a work.
    pub(crate) fn add(&mut self, results: Results) {
        self.works.push(results);
    }

    /// Adds the comparison of the own schema with the extension.
    pub(crate) fn add_comparison(&mut self, figures: Vec<Figure>) {
        self.comparison = figures;
    }

    /// Adds a table.
    pub(crate) fn add_table(&mut self, table: Table) {
        self.tables.push(table);
    }

    /// Adds works, and figures with aims.
    pub(crate) fn add_aims(&mut self, works: Vec<Results>, aims: Vec<Aim>) {
        self.works.extend(works);
        self.aims.extend(aims);
    }

    /// Returns the facts about machine and versions, a line each.
    pub(crate) fn head(&self) -> String {
        let facts: String =
            self.machine.facts().iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        format!("{facts}rounds: {}\n\n", self.rounds)
    }

    /// Returns the report as JSON.
    pub(crate) fn to_json(&self) -> String {
        let fact = |(name, value): &(&str, String)| ((*name).to_owned(), Json::text(value));
        let mut fields: Vec<(String, Json)> = self.machine.facts().iter().map(fact).collect();
        fields.push(("rounds".to_owned(), Json::Number(f64::from(self.rounds))));
        fields.push(("works".to_owned(), Json::List(self.works.iter().map(work).collect())));
        fields.push(("own_schema".to_owned(), Json::List(self.comparison.iter().map(comparison).collect())));
        fields.push(("tables".to_owned(), Json::List(self.tables.iter().map(Table::to_json).collect())));
        fields.push(("aims".to_owned(), Json::List(self.aims.iter().map(Aim::to_json).collect())));
        Json::Object(fields).render() + "\n"
    }
}

/// Returns a work's figures as a table.
pub(crate) fn table(results: &Results) -> String {
    let mut lines = vec![results.title.clone()];
    lines.push(format!(
        "  {:<30} {:>8} {:>15} {:>10} {:>8} {:>8} {:>9}",
        "", "median s", "min-max s", "events/s", "peak MB", "x limit", "x python"
    ));
    lines.extend(results.rows.iter().map(|row| line(results, row)));
    lines.join("\n") + "\n"
}

/// Returns the comparison of the own schema with the extension as a table.
pub(crate) fn comparison_table(figures: &[Figure]) -> String {
    let mut lines = vec!["own schema compared with the extension, without fsync".to_owned()];
    lines.push(format!(
        "  {:<42} {:>12} {:>16} {:>12} {:>16} {:>11} {:>8}",
        "", "extension µs", "min-max µs", "own µs", "min-max µs", "x extension", "at most"
    ));
    lines.extend(figures.iter().map(comparison_line));
    lines.join("\n") + "\n"
}

fn comparison_line(figure: &Figure) -> String {
    let range = |times: &[f64]| {
        let (min, max) =
            times.iter().fold((f64::MAX, 0.0), |(min, max), time| (time.min(min), time.max(max)));
        format!("{min:.2}-{max:.2}")
    };
    format!(
        "  {:<42} {:>12.2} {:>16} {:>12.2} {:>16} {:>11.2} {:>8.1}{}",
        figure.name,
        median(&figure.extension),
        range(&figure.extension),
        median(&figure.own),
        range(&figure.own),
        figure.ratio(),
        figure.at_most,
        if figure.is_missed() { "  missed" } else { "" },
    )
}

/// Returns a line of the table. The last two columns are the ratio to the limit's time and the speed-up over Python.
fn line(results: &Results, row: &Row) -> String {
    let (seconds, sorted) = (row.median(), row.sorted());
    let range = format!("{:.2}-{:.2}", sorted[0], sorted[sorted.len() - 1]);
    let ratio = |ratio: Option<f64>| ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
    format!(
        "  {:<30} {seconds:>8.2} {range:>15} {:>10.0} {:>8.1} {:>8} {:>9}",
        row.name,
        results.events as f64 / seconds,
        row.peak_mb(),
        ratio(to_limit(results, row)),
        ratio(faster_than_python(results, row)),
    )
}

fn to_limit(results: &Results, row: &Row) -> Option<f64> {
    results.median_of(Role::Limit).map(|limit| row.median() / limit)
}

fn faster_than_python(results: &Results, row: &Row) -> Option<f64> {
    results.median_of(Role::Python).map(|python| python / row.median())
}

fn work(results: &Results) -> Json {
    Json::object([
        ("work", Json::text(&results.title)),
        ("events", Json::Number(results.events as f64)),
        ("contestants", Json::List(results.rows.iter().map(|row| contestant(results, row)).collect())),
    ])
}

fn contestant(results: &Results, row: &Row) -> Json {
    let mut fields = vec![
        ("name", Json::text(row.name)),
        ("median_seconds", Json::Number(row.median())),
        ("seconds", Json::List(row.samples.iter().map(|sample| Json::Number(sample.seconds)).collect())),
        ("events_per_second", Json::Number(results.events as f64 / row.median())),
        ("peak_mb", Json::Number(row.peak_mb())),
    ];
    fields.extend(to_limit(results, row).map(|ratio| ("times_limit", Json::Number(ratio))));
    fields.extend(
        faster_than_python(results, row).map(|ratio| ("times_as_fast_as_python", Json::Number(ratio))),
    );
    Json::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn comparison(figure: &Figure) -> Json {
    let numbers = |times: &[f64]| Json::List(times.iter().copied().map(Json::Number).collect());
    Json::object([
        ("name", Json::text(&figure.name)),
        ("extension_microseconds", numbers(&figure.extension)),
        ("own_microseconds", numbers(&figure.own)),
        ("times_extension", Json::Number(figure.ratio())),
        ("at_most", Json::Number(figure.at_most)),
        ("missed", Json::Boolean(figure.is_missed())),
    ])
}
