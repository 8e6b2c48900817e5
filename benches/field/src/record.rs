//! The lines of `results.jsonl`.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::BoxError;

/// The name of the file within the folder of results.
pub(crate) const FILE: &str = "results.jsonl";

/// A line.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Record {
    /// The machine and a server.
    Environment {
        facts: Vec<(String, String)>,
    },
    /// A contestant and its versions.
    Descriptor {
        contestant: String,
        display_name: String,
        facts: Vec<(String, String)>,
    },
    Measurement(Measurement),
    /// A contestant that did not finish, or does not run on this server.
    Failure {
        place: Place,
        reason: String,
    },
}

/// Where a figure belongs.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub(crate) struct Place {
    pub(crate) postgres: String,
    pub(crate) durability: String,
    pub(crate) scenario: String,
    pub(crate) variant: String,
    pub(crate) contestant: String,
    pub(crate) round: u32,
}

/// The figures of one turn.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Measurement {
    pub(crate) place: Place,
    pub(crate) figures: Figures,
    /// Figures over time. The first column is the time in seconds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) series: Vec<Figures>,
}

/// Values by their names, which contain the unit.
pub(crate) type Figures = BTreeMap<String, f64>;

/// Appends lines to the file.
pub(crate) struct Records(File);

impl Records {
    /// Opens the file in a folder, which is created if it is missing.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub(crate) fn open(folder: &Path) -> Result<Records, BoxError> {
        std::fs::create_dir_all(folder)?;
        Ok(Records(OpenOptions::new().append(true).create(true).open(folder.join(FILE))?))
    }

    /// Writes a line.
    ///
    /// # Errors
    ///
    /// When the disk is full.
    pub(crate) fn add(&mut self, record: &Record) -> Result<(), BoxError> {
        let line = serde_json::to_string(record)? + "\n";
        Ok(self.0.write_all(line.as_bytes())?)
    }
}

/// Reads all lines of a folder's file.
///
/// # Errors
///
/// When there is no such file, or a line is not of this program.
pub(crate) fn read(folder: &Path) -> Result<Vec<Record>, BoxError> {
    let text = std::fs::read_to_string(folder.join(FILE))?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}
