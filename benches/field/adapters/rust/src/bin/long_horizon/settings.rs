//! The settings, which are environment variables.

use std::ops::RangeInclusive;
use std::time::Duration;

use field_adapters::BoxError;

/// The settings of a run.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) url: String,
    /// The kind of the schema: `own` or `extension`.
    pub(crate) schema: String,
    pub(crate) demand: Demand,
    /// The greatest number of events in a transaction.
    pub(crate) batch_max: u64,
    /// How long events are gathered for a transaction.
    pub(crate) batch_wait: Duration,
    /// How many events are handled at once.
    pub(crate) workers: usize,
    pub(crate) payload_bytes: usize,
    /// How long the handler of an event sleeps.
    pub(crate) work: Duration,
    /// The seconds between two samples.
    pub(crate) sample_every: u64,
}

/// How many events are inserted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Demand {
    /// Events a second.
    Rate(u64),
    /// As many as keep this number of events pending.
    Depth(u64),
}

/// The values of `PRODUCER_RATE` and `TARGET_DEPTH`.
const DEMANDS: RangeInclusive<u64> = 0..=1_000_000;

impl Settings {
    /// Reads the settings from environment variables.
    ///
    /// # Errors
    ///
    /// When a value is invalid, and without `DATABASE_URL`.
    pub(crate) fn read(find: impl Fn(&str) -> Option<String>) -> Result<Settings, BoxError> {
        let source = Source(find);
        source.choice("SCENARIO", &["long_horizon"])?;
        Ok(Settings {
            url: source.url()?,
            schema: source.choice("PGQ_SCHEMA", &["own", "extension"])?,
            demand: source.demand()?,
            batch_max: source.number("PRODUCER_BATCH_MAX", 128, 1..=100_000)?,
            batch_wait: Duration::from_millis(source.number("PRODUCER_BATCH_MS", 10, 1..=10_000)?),
            workers: usize::try_from(source.number("WORKER_COUNT", 16, 1..=10_000)?)?,
            payload_bytes: usize::try_from(source.number("JOB_PAYLOAD_BYTES", 256, 0..=10_000_000)?)?,
            work: Duration::from_millis(source.number("JOB_WORK_MS", 1, 0..=3_600_000)?),
            sample_every: source.number("SAMPLE_EVERY_S", 5, 1..=3_600)?,
        })
    }
}

/// The values of environment variables by their names.
struct Source<F>(F);

impl<F: Fn(&str) -> Option<String>> Source<F> {
    fn url(&self) -> Result<String, BoxError> {
        let url = self.0("DATABASE_URL").filter(|url| !url.is_empty());
        let url = url.ok_or("`DATABASE_URL` is not set: it must be a connection string")?;
        url.parse::<tokio_postgres::Config>()
            .map_err(|error| format!("invalid `DATABASE_URL`: {}", crate::describe(&error)))?;
        Ok(url)
    }

    fn demand(&self) -> Result<Demand, BoxError> {
        let rate = self.number("PRODUCER_RATE", 800, DEMANDS)?;
        let depth = self.number("TARGET_DEPTH", 1_000, DEMANDS)?;
        let mode = self.choice("PRODUCER_MODE", &["fixed", "depth-target"])?;
        Ok(if mode == "fixed" { Demand::Rate(rate) } else { Demand::Depth(depth) })
    }

    /// Returns one of several words, of which the first is the default.
    fn choice(&self, name: &str, choices: &[&str]) -> Result<String, BoxError> {
        let Some(value) = self.0(name) else { return Ok(choices[0].to_owned()) };
        if choices.contains(&value.as_str()) {
            return Ok(value);
        }
        let choices: Vec<String> = choices.iter().map(|choice| format!("`{choice}`")).collect();
        Err(format!("invalid value `{value}` of `{name}`: it must be {}", choices.join(" or ")).into())
    }

    fn number(&self, name: &str, default: u64, range: RangeInclusive<u64>) -> Result<u64, BoxError> {
        let Some(value) = self.0(name) else { return Ok(default) };
        let number = value.parse().ok().filter(|number| range.contains(number));
        let (least, most) = (range.start(), range.end());
        number.ok_or_else(|| {
            format!("invalid value `{value}` of `{name}`: it must be a number from {least} to {most}").into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[(&str, &str)]) -> Result<Settings, BoxError> {
        Settings::read(|name| {
            let value = values.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned());
            value.or_else(|| (name == "DATABASE_URL").then(|| "dbname=pgq_bench".to_owned()))
        })
    }

    #[test]
    fn defaults_are_those_of_the_harness() {
        let settings = read(&[]).expect("nothing else is required");
        assert_eq!(settings.schema, "own");
        assert_eq!(settings.demand, Demand::Rate(800));
        assert_eq!((settings.batch_max, settings.batch_wait), (128, Duration::from_millis(10)));
        assert_eq!((settings.payload_bytes, settings.work), (256, Duration::from_millis(1)));
        assert_eq!((settings.workers, settings.sample_every), (16, 5));
    }

    #[test]
    fn the_mode_selects_rate_or_depth() {
        let both = [("PRODUCER_RATE", "50"), ("TARGET_DEPTH", "70")];
        assert_eq!(read(&both).expect("valid").demand, Demand::Rate(50));
        let values = [both[0], both[1], ("PRODUCER_MODE", "depth-target")];
        assert_eq!(read(&values).expect("valid").demand, Demand::Depth(70));
    }

    #[test]
    fn an_invalid_value_is_named() {
        let check = |name, value, expected| {
            assert_eq!(read(&[(name, value)]).expect_err("invalid").to_string(), expected);
        };
        check(
            "PRODUCER_MODE",
            "fast",
            "invalid value `fast` of `PRODUCER_MODE`: it must be `fixed` or `depth-target`",
        );
        check(
            "WORKER_COUNT",
            "0",
            "invalid value `0` of `WORKER_COUNT`: it must be a number from 1 to 10000",
        );
        check(
            "SAMPLE_EVERY_S",
            "1.5",
            "invalid value `1.5` of `SAMPLE_EVERY_S`: it must be a number from 1 to 3600",
        );
        check("SCENARIO", "chaos", "invalid value `chaos` of `SCENARIO`: it must be `long_horizon`");
        check("DATABASE_URL", "", "`DATABASE_URL` is not set: it must be a connection string");
    }
}
