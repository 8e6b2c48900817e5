//! The figures, for people and for programs.

use crate::json::Json;
use crate::machine::Machine;
use crate::options::Options;
use crate::ticking::Table;
use crate::versus::Figure;
use crate::work::{Results, Role, Row, median};

/// All that was measured.
pub(crate) struct Report {
    machine: Machine,
    rounds: u32,
    works: Vec<Results>,
    versus: Vec<Figure>,
    ticking: Vec<Table>,
}

impl Report {
    /// Makes a report without figures.
    pub(crate) fn new(machine: Machine, options: &Options) -> Report {
        Report { machine, rounds: options.rounds, works: Vec::new(), versus: Vec::new(), ticking: Vec::new() }
    }

    /// Adds the figures of a work.
    pub(crate) fn add(&mut self, results: Results) {
        self.works.push(results);
    }

    /// Adds the figures of the own schema beside the extension.
    pub(crate) fn add_versus(&mut self, figures: Vec<Figure>) {
        self.versus = figures;
    }

    /// Adds the figures of tickers.
    pub(crate) fn add_ticking(&mut self, table: Table) {
        self.ticking.push(table);
    }

    /// Returns what the figures depend on, a line each.
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
        fields.push(("own_schema".to_owned(), Json::List(self.versus.iter().map(versus).collect())));
        fields.push(("ticking".to_owned(), Json::List(self.ticking.iter().map(Table::to_json).collect())));
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

/// Returns the own schema's figures beside the extension's as a table.
pub(crate) fn versus_table(figures: &[Figure]) -> String {
    let mut lines = vec!["own schema beside the extension, without waiting for the disk".to_owned()];
    lines.push(format!(
        "  {:<42} {:>12} {:>16} {:>12} {:>16} {:>11} {:>8}",
        "", "extension µs", "min-max µs", "own µs", "min-max µs", "x extension", "at most"
    ));
    lines.extend(figures.iter().map(versus_line));
    lines.join("\n") + "\n"
}

fn versus_line(figure: &Figure) -> String {
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
        if figure.ratio() > figure.at_most { "  missed" } else { "" },
    )
}

/// The last two columns: how many times the limit's time it takes, how many times as fast as Python it is.
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

fn versus(figure: &Figure) -> Json {
    let numbers = |times: &[f64]| Json::List(times.iter().copied().map(Json::Number).collect());
    Json::object([
        ("name", Json::text(&figure.name)),
        ("extension_microseconds", numbers(&figure.extension)),
        ("own_microseconds", numbers(&figure.own)),
        ("times_extension", Json::Number(figure.ratio())),
        ("at_most", Json::Number(figure.at_most)),
    ])
}
