//! The arguments of an adapter.

use std::collections::HashMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::BoxError;
use crate::consumption::{Consumption, Handling};
use crate::production::{Pace, Production};

/// The database, and the arguments by their names.
pub struct Settings {
    /// The URL of the database.
    pub url: String,
    values: HashMap<String, String>,
}

impl Settings {
    /// Returns an argument.
    ///
    /// # Errors
    ///
    /// When the argument is missing or invalid.
    pub fn get<T: FromStr>(&self, name: &str) -> Result<T, BoxError> {
        self.find(name)?.ok_or_else(|| format!("`--{name}` is missing").into())
    }

    /// Returns an argument that may be missing.
    ///
    /// # Errors
    ///
    /// When the argument is invalid.
    pub fn find<T: FromStr>(&self, name: &str) -> Result<Option<T>, BoxError> {
        let Some(text) = self.values.get(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| format!("invalid value `{text}` of `--{name}`").into())
    }
}

pub(crate) enum Task {
    Setup { consumers: u32 },
    Serve,
    Produce(Production),
    Consume(Consumption),
}

pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<(Settings, Task), BoxError> {
    let url = std::env::var("DATABASE_URL").map_err(|_| "DATABASE_URL is not set")?;
    let (mut values, mut task) = (HashMap::new(), None);
    while let Some(arg) = args.next() {
        match arg.strip_prefix("--") {
            Some("into-table") => _ = values.insert("into-table".to_owned(), "true".to_owned()),
            Some(name) => {
                let value = args.next().ok_or_else(|| format!("`{arg}` needs a value"))?;
                values.insert(name.to_owned(), value);
            }
            None => task = Some(arg),
        }
    }
    let settings = Settings { url, values };
    let task = match task.as_deref() {
        Some("setup") => Task::Setup { consumers: settings.find("consumers")?.unwrap_or(1) },
        Some("serve") => Task::Serve,
        Some("produce") => Task::Produce(production(&settings)?),
        Some("consume") => Task::Consume(consumption(&settings)?),
        _ => return Err("the task must be setup, serve, produce or consume".into()),
    };
    Ok((settings, task))
}

/// The events of a transaction of `--per-transaction bulk`.
const BULK: u64 = 10_000;

fn production(settings: &Settings) -> Result<Production, BoxError> {
    let per_transaction: String = settings.get("per-transaction")?;
    let per_transaction = if per_transaction == "bulk" { BULK } else { per_transaction.parse()? };
    let pace = match settings.find::<u64>("rate")? {
        Some(rate) => Pace::Rate { rate, seconds: settings.get("seconds")? },
        None => Pace::Count(settings.get("count")?),
    };
    let from = settings.find("from")?.unwrap_or(0);
    let bytes = settings.find("payload-bytes")?.unwrap_or(75);
    Production::new(from, pace, per_transaction, bytes, &settings.get::<PathBuf>("log")?)
}

fn consumption(settings: &Settings) -> Result<Consumption, BoxError> {
    let work = Duration::from_millis(settings.find("work-ms")?.unwrap_or(0));
    let time = settings.find("seconds")?.map(Duration::from_secs);
    let handling = Handling::new(
        &settings.get::<PathBuf>("log")?,
        work,
        settings.find("until")?,
        time,
        settings.find("poison")?,
    )?;
    Ok(Consumption {
        consumer: settings.find("consumer")?.unwrap_or(0),
        workers: settings.find("workers")?.unwrap_or(1).max(1),
        into_table: settings.find("into-table")?.unwrap_or(false),
        handling: Arc::new(handling),
    })
}
