//! The options of `field run`.

use std::path::PathBuf;

use crate::BoxError;
use crate::scenario::Scenario;
use crate::server::Durability;
use crate::size::Size;

/// The measurements of a run.
pub(crate) struct Options {
    pub(crate) size: Size,
    /// The names of the contestants; empty means all.
    pub(crate) only: Vec<String>,
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) durability: Vec<Durability>,
    /// The name of the PostgreSQL in `PG_BINDIR`: `distribution` or a version.
    pub(crate) postgres: String,
    /// The folder of the results.
    pub(crate) out: PathBuf,
}

impl Options {
    /// Parses the arguments after `run`.
    ///
    /// # Errors
    ///
    /// On an unknown option, scenario or value.
    pub(crate) fn parse(args: &[String]) -> Result<Options, BoxError> {
        let mut options = Options {
            size: Size::long(),
            only: Vec::new(),
            scenarios: Vec::new(),
            durability: vec![Durability::On, Durability::Off],
            postgres: "distribution".to_owned(),
            out: PathBuf::from("target/field"),
        };
        let (mut rounds, mut chosen) = (None, Scenario::ALL.to_vec());
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            if arg == "--short" {
                options.size = Size::short();
                chosen = Scenario::SHORT.to_vec();
                continue;
            }
            let value = args.next().ok_or_else(|| format!("`{arg}` needs a value"))?;
            match arg.as_str() {
                "--only" => options.only = names(value),
                "--scenario" => options.scenarios = scenarios(value)?,
                "--durability" => options.durability = Durability::parse(value)?,
                "--postgres" => options.postgres = value.clone(),
                "--rounds" => rounds = Some(value.parse().map_err(|_| format!("invalid number `{value}`"))?),
                "--out" => options.out = PathBuf::from(value),
                _ => return Err(format!("unknown option `{arg}`").into()),
            }
        }
        if options.scenarios.is_empty() {
            options.scenarios = chosen;
        }
        options.size.rounds = rounds.unwrap_or(options.size.rounds);
        Ok(options)
    }

    /// Returns whether a contestant takes part.
    pub(crate) fn selects(&self, contestant: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == contestant)
    }
}

fn names(list: &str) -> Vec<String> {
    list.split(',').map(|name| name.trim().to_owned()).collect()
}

fn scenarios(list: &str) -> Result<Vec<Scenario>, BoxError> {
    let find = |name: &String| {
        let known = Scenario::ALL.iter().find(|scenario| scenario.name() == name);
        known.copied().ok_or_else(|| format!("unknown scenario `{name}`").into())
    };
    names(list).iter().map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenarios_of(args: &[&str]) -> Vec<Scenario> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        Options::parse(&args).expect("the options are valid").scenarios
    }

    #[test]
    fn a_short_run_has_a_crash_only_by_name() {
        assert!(scenarios_of(&[]).contains(&Scenario::Crash));
        assert!(!scenarios_of(&["--short"]).contains(&Scenario::Crash));
        assert_eq!(scenarios_of(&["--short", "--scenario", "crash"]), [Scenario::Crash]);
        assert_eq!(scenarios_of(&["--scenario", "crash", "--short"]), [Scenario::Crash]);
    }
}
