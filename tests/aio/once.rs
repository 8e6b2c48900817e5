//! Handlers whose effects are applied exactly once.

mod claims;
mod crash;
mod failures;
mod tokio_postgres;

use std::time::Duration;

use pgq::aio::{Handlers, Origin, Worker};
use pgq::{BoxError, Event};
use pgq_ext::sqlx::{ExactlyOnce, Tx};
use postgres::Client;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use super::Running;
use crate::drivers::sqlx::options;
use crate::support::{Database, queues, templates, wait_for};

use pgq::schema::Kind;

/// Returns a database with the record and what [`super::database`] has.
fn database(kind: Kind) -> (Database, Client) {
    super::prepared(templates::installed_whole(kind, "once"))
}

/// Makes a pool, within a runtime.
fn pool(conninfo: &str, connections: u32) -> PgPool {
    let options = options(conninfo).application_name("effects");
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(5))
        .connect_lazy_with(options)
}

/// Writes the event's data, in its transaction.
async fn write(event: &Event, tx: &mut Tx) -> Result<(), BoxError> {
    let insert = sqlx::query("insert into effect values ($1, $2)").bind(event.id()).bind(event.data());
    insert.execute(&mut **tx).await?;
    Ok(())
}
