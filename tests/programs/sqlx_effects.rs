//! A program that writes the data of events in transactions of `sqlx`: `sqlx_effects SOCKET PORT DATABASE`.

use std::error::Error;

use pgq::aio::Worker;
use pgq::sqlx::{Consumer, Transactional};
use pgq::{BoxError, Event, Outcome};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{PgConnection, PgPool};

struct Effects;

impl Consumer for Effects {
    async fn process_event(&mut self, event: &Event, tx: &mut PgConnection) -> Result<Outcome, BoxError> {
        let insert = sqlx::query("insert into effect values ($1, $2)").bind(event.id()).bind(event.data());
        insert.execute(tx).await?;
        Ok(Outcome::Done)
    }
}

fn pool(socket: &str, port: u16, database: &str) -> PgPool {
    let options = PgConnectOptions::new_without_pgpass()
        .socket(socket)
        .port(port)
        .username("postgres")
        .database(database)
        .ssl_mode(PgSslMode::Disable);
    PgPoolOptions::new().max_connections(1).connect_lazy_with(options)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [socket, port, database] = &arguments[..] else { return Err("socket, port and database".into()) };
    let conninfo = format!("host={socket} port={port} user=postgres dbname={database}");
    let effects = Transactional::new(pool(socket, port.parse()?, database), Effects);
    Ok(Worker::new(&conninfo, "orders", "billing").run_until(effects, std::future::pending()).await?)
}
