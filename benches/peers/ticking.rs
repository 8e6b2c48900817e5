//! Tickers that run during a measurement, and tables of figures.

use std::process::{Child, Command, Stdio};

use crate::BoxError;
use crate::json::Json;
use crate::programs;
use crate::testbed::Testbed;

/// A running program. Dropping the value kills the program.
pub(crate) struct Running(Child);

impl Running {
    /// Starts a program.
    ///
    /// # Errors
    ///
    /// When the program does not exist.
    pub(crate) fn start(command: &mut Command) -> Result<Running, BoxError> {
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let name = quiet.get_program().display().to_string();
        Ok(Running(quiet.spawn().map_err(|error| format!("{name}: {error}"))?))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The program may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts this project's ticker on a database.
///
/// # Errors
///
/// When the ticker is not built.
pub(crate) fn ours(testbed: &Testbed, database: &str, period: &str) -> Result<Running, BoxError> {
    let keys = [("db", testbed.conninfo(database)), ("loop_delay", period.to_owned())];
    let keys = keys.each_ref().map(|(key, value)| (*key, value.as_str()));
    let file = testbed.config("ticker.ini", "pgqadm", &keys)?;
    Running::start(programs::program("pgqadm")?.arg(file).arg("ticker"))
}

/// Starts `pgqd` on a database.
///
/// # Errors
///
/// When `pgqd` is not installed.
pub(crate) fn pgqd(testbed: &Testbed, database: &str, period: &str) -> Result<Running, BoxError> {
    let (folder, port) = testbed.address();
    let base = format!("host={folder} port={port} user=postgres");
    let keys = [
        ("base_connstr", base.as_str()),
        ("database_list", database),
        ("syslog", "0"),
        ("ticker_period", period),
    ];
    let file = testbed.config("pgqd.ini", "pgqd", &keys)?;
    Running::start(Command::new("/usr/bin/pgqd").arg(file))
}

/// A table of figures, with a row for each contestant.
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<(String, Vec<f64>)>,
}

impl Table {
    /// Returns the text form.
    pub(crate) fn render(&self) -> String {
        let mut text = format!("{}\n  {:<52}", self.title, "");
        text.extend(self.columns.iter().map(|column| format!(" {column:>12}")));
        for (name, figures) in &self.rows {
            text += &format!("\n  {name:<52}");
            text.extend(figures.iter().map(|figure| format!(" {figure:>12.3}")));
        }
        text + "\n"
    }

    /// Returns the JSON form.
    pub(crate) fn to_json(&self) -> Json {
        let row = |(name, figures): &(String, Vec<f64>)| {
            let figures = self.columns.iter().zip(figures);
            let figures = figures.map(|(column, figure)| ((*column).to_owned(), Json::Number(*figure)));
            let name = [("name".to_owned(), Json::text(name))];
            Json::Object(name.into_iter().chain(figures).collect())
        };
        Json::object([
            ("work", Json::text(&self.title)),
            ("contestants", Json::List(self.rows.iter().map(row).collect())),
        ])
    }
}
