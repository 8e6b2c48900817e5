//! The command line.

use std::path::PathBuf;
use std::str::FromStr;

use crate::BoxError;

/// The options of a run.
#[derive(Clone)]
pub(crate) struct Options {
    /// The number of events of each work. Defaults to 1,000,000.
    pub(crate) events: u64,
    /// The number of turns of each contestant. Defaults to 3.
    pub(crate) rounds: u32,
    /// The path of the JSON report. Defaults to `target/bench.json`.
    pub(crate) json: PathBuf,
    /// The names of the works to measure. Defaults to all.
    only: Vec<String>,
}

impl Options {
    /// Parses the arguments.
    ///
    /// # Errors
    ///
    /// When an argument is unknown, or a value is missing or invalid.
    pub(crate) fn parse(args: &[String]) -> Result<Options, BoxError> {
        let mut options = Options {
            events: 1_000_000,
            rounds: 3,
            json: PathBuf::from("target/bench.json"),
            only: Vec::new(),
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--bench" => {}
                "--events" => options.events = value(arg, args.next())?,
                "--rounds" => options.rounds = value(arg, args.next())?,
                "--json" => options.json = value(arg, args.next())?,
                "--only" => options.only.push(value(arg, args.next())?),
                _ => {
                    return Err(format!(
                        "unknown argument `{arg}`; there are --events N, --rounds N, --json FILE, \
                     --only one-batch|backlog|consume|insert|schema|latency|idle-ticker|async|jetstream|scaling"
                    )
                    .into());
                }
            }
        }
        if options.events == 0 || options.rounds == 0 {
            return Err("--events and --rounds must be above 0".into());
        }
        Ok(options)
    }

    /// Returns the options with another number of events.
    pub(crate) fn with_events(&self, events: u64) -> Options {
        Options { events, ..self.clone() }
    }

    /// Returns whether a work is selected.
    pub(crate) fn selects(&self, work: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == work)
    }
}

fn value<T: FromStr>(name: &str, text: Option<&String>) -> Result<T, BoxError> {
    let text = text.ok_or_else(|| format!("{name} needs a value"))?;
    text.parse().map_err(|_| format!("invalid value `{text}` of {name}").into())
}
