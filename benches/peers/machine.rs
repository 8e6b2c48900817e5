//! The machine and the versions that the figures depend on.

use std::fs;
use std::process::Command;
use std::thread;

use chrono::{SecondsFormat, Utc};

use crate::BoxError;
use crate::programs::PYTHON;
use crate::testbed::{SOURCE, Testbed};

/// The server settings that are always shown, in addition to those that differ from PostgreSQL's defaults.
const ALWAYS: [&str; 6] =
    ["fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "work_mem", "max_wal_size"];

/// Machine and versions.
pub(crate) struct Machine {
    facts: Vec<(&'static str, String)>,
}

impl Machine {
    /// Reads the facts about the machine and the programs.
    ///
    /// # Errors
    ///
    /// When python-pgq is not installed, or a fact cannot be read.
    pub(crate) fn look(testbed: &Testbed) -> Result<Machine, BoxError> {
        let cores = thread::available_parallelism()?;
        let date = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
        let version = testbed.client(SOURCE).query_one("show server_version", &[])?.get(0);
        let facts = vec![
            ("date", date),
            ("cpu", format!("{}, {cores} cores", field("/proc/cpuinfo", "model name"))),
            ("memory", field("/proc/meminfo", "MemTotal")),
            ("kernel", fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned()),
            ("postgresql", version),
            ("python-pgq", python_pgq()?),
            ("rustc", output(Command::new("rustc").arg("--version"))?),
            ("server settings", settings(testbed)?),
        ];
        Ok(Machine { facts })
    }

    /// Returns names and values.
    pub(crate) fn facts(&self) -> &[(&'static str, String)] {
        &self.facts
    }
}

/// Returns the value of the first line with the name.
fn field(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.split_once(':'));
    line.map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
}

fn python_pgq() -> Result<String, BoxError> {
    let code = "import pgq; print(pgq.__version__)";
    output(Command::new(PYTHON).args(["-c", code]))
        .map_err(|error| format!("python-pgq is not installed, run `scripts/setup`: {error}").into())
}

fn output(command: &mut Command) -> Result<String, BoxError> {
    let output = command.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned().into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn settings(testbed: &Testbed) -> Result<String, BoxError> {
    let statement = "select string_agg(name || ' = ' || current_setting(name), ', ' order by name) \
         from pg_settings where name = any($1)";
    let text: Option<String> = testbed.client(SOURCE).query_one(statement, &[&&ALWAYS[..]])?.get(0);
    Ok(text.unwrap_or_default())
}
