//! The contestants: folders with an `adapter.json`.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::BoxError;

/// A contestant, as its `adapter.json` describes it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Contestant {
    /// The name of the folder.
    #[serde(skip)]
    pub(crate) name: String,
    pub(crate) display_name: String,
    /// The program and its first arguments, relative to `benches/field`. `{bin}` is the folder of the Rust adapters.
    command: Vec<String>,
    #[serde(default)]
    environment: HashMap<String, String>,
    /// Whether the adapter has a part that runs beside producers and consumers.
    #[serde(default = "yes")]
    pub(crate) serve: bool,
    /// The PostgreSQL versions that the contestant runs on: `distribution`, `18`.
    #[serde(default = "both")]
    pub(crate) postgres: Vec<String>,
    /// The language of the client, and remarks for the report.
    #[serde(default)]
    pub(crate) language: String,
    #[serde(default)]
    pub(crate) fan_out: String,
    #[serde(default)]
    pub(crate) bulk: String,
    #[serde(default)]
    pub(crate) poison: String,
    #[serde(default)]
    pub(crate) crash: String,
    /// A statement that counts the events that the contestant has given up.
    pub(crate) failed_events: Option<String>,
}

fn yes() -> bool {
    true
}

fn both() -> Vec<String> {
    ["distribution", "18"].map(str::to_owned).into()
}

impl Contestant {
    /// Reads all contestants, in the order of their names.
    ///
    /// # Errors
    ///
    /// When a description cannot be read.
    pub(crate) fn all() -> Result<Vec<Contestant>, BoxError> {
        let mut all = Vec::new();
        for entry in fs::read_dir(home().join("contestants"))? {
            let folder = entry?.path();
            let file = folder.join("adapter.json");
            if file.is_file() {
                all.push(Contestant::read(&folder, &file)?);
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    fn read(folder: &Path, file: &Path) -> Result<Contestant, BoxError> {
        let text = fs::read_to_string(file)?;
        let mut contestant: Contestant =
            serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
        contestant.name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(contestant)
    }

    /// Makes the command of a task.
    ///
    /// # Errors
    ///
    /// When the description has no command.
    pub(crate) fn command(&self, url: &str, task: &[String]) -> Result<Command, BoxError> {
        let bin = std::env::current_exe()?.parent().map(Path::to_owned).unwrap_or_default();
        let bin = bin.display().to_string();
        let mut words = self.command.iter().map(|word| word.replace("{bin}", &bin));
        let program = words.next().ok_or_else(|| format!("`{}` has no command", self.name))?;
        let mut command = Command::new(resolved(&program));
        command.args(words).args(task).current_dir(home()).envs(&self.environment).env("DATABASE_URL", url);
        Ok(command)
    }
}

/// Returns the path of a program. A name without a slash is searched in `PATH`.
fn resolved(program: &str) -> PathBuf {
    if program.contains('/') { home().join(program) } else { PathBuf::from(program) }
}

/// Returns the folder `benches/field`.
pub(crate) fn home() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
