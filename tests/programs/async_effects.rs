//! A program with two asynchronous consumers on one thread. `billing` handles events concurrently, in the order of each
//! key, and appends a line with key and id to the file `effects`. `shipping` writes to the table `effect` in the
//! transaction of the batch. Handlers of both fail now and then. With `retry`,
//! `billing` alone runs, and retries each event.

use std::env;
use std::error::Error;
use std::fs::OpenOptions;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pgq::aio::{Batch, Consumer, Handlers, Worker};
use pgq::{BoxError, Event, Outcome, RetryPolicy, Settings};

static CALLS: AtomicU64 = AtomicU64::new(0);

/// Fails one call of so many.
fn fail_each(calls: u64) -> Result<(), BoxError> {
    match CALLS.fetch_add(1, Ordering::Relaxed) % calls {
        0 => Err("now and then".into()),
        _ => Ok(()),
    }
}

async fn note(event: Event) -> Result<(), BoxError> {
    tokio::time::sleep(Duration::from_micros(event.id().unsigned_abs() * 37 % 2000)).await;
    fail_each(20)?;
    let line = format!("{} {}\n", event.extra1().unwrap_or("-"), event.id());
    let mut file = OpenOptions::new().create(true).append(true).open("effects")?;
    Ok(file.write_all(line.as_bytes())?)
}

async fn put_off(_: Event) -> Result<Outcome, BoxError> {
    Ok(Outcome::Retry(Duration::from_secs(3600)))
}

struct Written;

impl Consumer for Written {
    async fn process_event(&mut self, event: &Event, batch: &mut Batch) -> Result<Outcome, BoxError> {
        let insert = "insert into effect (event) values ($1)";
        batch.db().await?.execute(insert, &[&event.id()]).await?;
        fail_each(2000)?;
        Ok(Outcome::Done)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let conninfo = env::args().nth(1).ok_or("usage: async_effects CONNECTION_STRING [retry]")?;
    let puts_off = env::args().nth(2).is_some();
    let worker = |consumer: &str| {
        let mut settings = Settings::new("orders", consumer);
        settings.merge_events = 200;
        // Without a transaction, the server sorts the batch for each page.
        settings.lazy_fetch = puts_off.then_some(50_000);
        Worker::with_settings(&conninfo, settings).loop_delay(Duration::from_millis(20))
    };
    let handlers = Handlers::new().concurrency(16).ordered_by(Event::extra1).on("type", note);
    let billing = worker("billing").retry(RetryPolicy::fixed(Duration::from_millis(2)));
    let forever = std::future::pending;
    if puts_off {
        return Ok(worker("billing").run_until(Handlers::new().on("type", put_off), forever()).await?);
    }
    tokio::try_join!(
        billing.run_until(handlers, forever()),
        worker("shipping").run_until(Written, forever())
    )?;
    Ok(())
}
