//! Tickers that run while something is measured, and tables of what was.

use std::process::{Child, Command, Stdio};

use crate::BoxError;
use crate::ground::Ground;
use crate::json::Json;
use crate::programs;

/// A program that is ended together with this value.
pub(crate) struct Running(Child);

impl Running {
    /// Starts a program.
    ///
    /// # Errors
    ///
    /// When it is not there.
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
        // A program that is gone is as dead as it should be.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts this project's ticker on a database.
///
/// # Errors
///
/// When it is not built.
pub(crate) fn ours(ground: &Ground, database: &str, period: &str) -> Result<Running, BoxError> {
    let keys = [("db", ground.conninfo(database)), ("loop_delay", period.to_owned())];
    let keys = keys.each_ref().map(|(key, value)| (*key, value.as_str()));
    let file = ground.config("ticker.ini", "pgqadm", &keys)?;
    Running::start(programs::example("pgqadm")?.arg(file).arg("ticker"))
}

/// Starts `pgqd` on a database.
///
/// # Errors
///
/// When it is not installed.
pub(crate) fn pgqd(ground: &Ground, database: &str, period: &str) -> Result<Running, BoxError> {
    let (folder, port) = ground.address();
    let base = format!("host={folder} port={port} user=postgres");
    let keys = [
        ("base_connstr", base.as_str()),
        ("database_list", database),
        ("syslog", "0"),
        ("ticker_period", period),
    ];
    let file = ground.config("pgqd.ini", "pgqd", &keys)?;
    Running::start(Command::new("/usr/bin/pgqd").arg(file))
}

/// Figures in columns, a row for each contestant.
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

    /// Returns the form for programs.
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
