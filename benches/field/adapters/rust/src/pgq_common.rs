//! What the adapters of this project share.

use std::thread;
use std::time::Duration;

use field_adapters::{BoxError, Descriptor, ready};
use pgq::{RetryPolicy, Ticker};
use postgres::{Client, NoTls};

pub(crate) const QUEUE: &str = "field";
pub(crate) const EVENT_TYPE: &str = "field";
/// The time between two checks of the ticker, and the longest time that an event waits for its tick.
const TICK: Duration = Duration::from_millis(1);

pub(crate) fn consumer_name(consumer: u32) -> String {
    format!("consumer_{consumer}")
}

pub(crate) fn retry_policy() -> RetryPolicy {
    RetryPolicy::fixed(Duration::from_secs(1)).max_retries(3)
}

/// Installs a kind of the schema, and creates the queue with its consumers.
pub(crate) fn setup(url: &str, schema: &str, consumers: u32) -> Result<Descriptor, BoxError> {
    let mut client = Client::connect(url, NoTls)?;
    pgq::schema::install_as(&mut client, Some(schema.parse()?))?;
    pgq::admin::create_queue(&mut client, QUEUE)?;
    let lag = format!("{} ms", TICK.as_millis());
    client.execute("select pgq.set_queue_config($1, 'ticker_max_lag', $2)", &[&QUEUE, &lag])?;
    for consumer in 0..consumers {
        pgq::admin::register_consumer(&mut client, QUEUE, &consumer_name(consumer))?;
    }
    let version: String = client.query_one("select pgq.version()", &[])?.get(0);
    Ok(Descriptor {
        system: "pgq".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        schema_version: format!("{schema} {version}"),
    })
}

/// Runs the ticker until the process is killed.
pub(crate) fn serve(url: &str) -> Result<(), BoxError> {
    let _ticker = Ticker::new(url).loop_delay(TICK).spawn()?;
    ready()?;
    loop {
        thread::park();
    }
}
