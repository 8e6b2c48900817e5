//! A program that writes each event of queue `orders` to the table `effect`, many at once and in order. Its argument is the
//! database, on the server of the environment. The first call for some events fails.

use std::collections::HashSet;
use std::env;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pgq::aio::{Handlers, Worker};
use pgq::{BoxError, Event, RetryPolicy};
use pgq_ext::sqlx::{ExactlyOnce, Tx};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};

type Failed = Arc<Mutex<HashSet<i64>>>;

async fn write(event: Event, mut tx: Tx, failed: Failed) -> Result<(), BoxError> {
    let insert = sqlx::query("insert into effect values ($1, $2)").bind(event.id()).bind(event.data());
    insert.execute(&mut *tx).await?;
    let is_first = failed.lock().expect("no panic").insert(event.id());
    if is_first && event.id() % 10 == 0 { Err("an error".into()) } else { Ok(()) }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let database = env::args().nth(1).ok_or("the database is missing")?;
    let options = PgConnectOptions::new_without_pgpass().database(&database).ssl_mode(PgSslMode::Disable);
    let pool = PgPoolOptions::new().max_connections(8).connect_lazy_with(options.application_name("effects"));
    let failed = Failed::default();
    let handler = move |event: Event, tx: Tx| write(event, tx, failed.clone());
    let handlers = Handlers::new().on("type", ExactlyOnce::new(pool).handler(handler));
    let handlers = handlers.concurrency(12).ordered_by(Event::data);
    Worker::new(&format!("dbname={database}"), "orders", "billing")
        .retry(RetryPolicy::fixed(Duration::from_millis(2)))
        .loop_delay(Duration::from_millis(20))
        .run_until(handlers, std::future::pending())
        .await?;
    Ok(())
}
