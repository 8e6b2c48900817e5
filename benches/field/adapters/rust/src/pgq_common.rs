//! The common parts of the adapters of this project.
#![allow(dead_code, reason = "every program that includes this file uses another part of it")]

use std::thread;
use std::time::Duration;

use field_adapters::{BoxError, Descriptor, Settings, ready};
use pgq::{RetryPolicy, Ticker};
use postgres::{Client, NoTls};

pub(crate) const QUEUE: &str = "field";
pub(crate) const EVENT_TYPE: &str = "field";
/// The default of `--tick-ms`: the time between two checks of the ticker, and the longest time that an event waits for its
/// tick.
pub(crate) const TICK: u64 = 5;
/// The time between two checks of a consumer's health.
pub(crate) const POLL: Duration = Duration::from_millis(1);

pub(crate) fn consumer_name(consumer: u32) -> String {
    format!("consumer_{consumer}")
}

pub(crate) fn retry_policy() -> RetryPolicy {
    RetryPolicy::fixed(Duration::from_secs(1)).max_retries(3)
}

/// The options of both adapters.
pub(crate) struct Options {
    pub(crate) url: String,
    /// The kind of the schema: `own` or `extension`.
    pub(crate) schema: String,
    pub(crate) tick: u64,
}

impl Options {
    pub(crate) fn new(settings: &Settings) -> Result<Options, BoxError> {
        let tick = settings.find("tick-ms")?.unwrap_or(TICK);
        Ok(Options { url: settings.url.clone(), schema: settings.get("schema")?, tick })
    }
}

/// Installs a kind of the schema, and creates the queue with its consumers.
pub(crate) fn setup(options: &Options, consumers: u32) -> Result<Descriptor, BoxError> {
    let mut client = Client::connect(&options.url, NoTls)?;
    pgq::schema::install_as(&mut client, Some(options.schema.parse()?))?;
    pgq::admin::create_queue(&mut client, QUEUE)?;
    let lag = format!("{} ms", options.tick);
    client.execute("select pgq.set_queue_config($1, 'ticker_max_lag', $2)", &[&QUEUE, &lag])?;
    for consumer in 0..consumers {
        pgq::admin::register_consumer(&mut client, QUEUE, &consumer_name(consumer))?;
    }
    let version: String = client.query_one("select pgq.version()", &[])?.get(0);
    Ok(Descriptor {
        system: "pgq".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        schema_version: format!("{} {version}", options.schema),
    })
}

/// Runs the ticker until the process is killed.
pub(crate) fn serve(options: &Options) -> Result<(), BoxError> {
    let _ticker = Ticker::new(&options.url).loop_delay(Duration::from_millis(options.tick)).spawn()?;
    ready()?;
    loop {
        thread::park();
    }
}
