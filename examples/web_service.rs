//! A web service that takes orders and ships them through a queue.
//!
//! - `POST /customers/kaiv/orders` with the item as its body inserts an order and an event in one transaction.
//! - A consumer ships many orders at once, but those of one customer in their order. An order that cannot be shipped
//!   is retried, and in the end its event fails. `GET /failed` lists the failed events.
//! - `GET /health` reports the state of the consumer, with status 503 when the consumer gets no events.
//!
//! SIGTERM finishes what is in progress. A ticker runs in the process; if another one is active, this one stands by.
//!
//! Usage: `web_service 127.0.0.1:8080 postgres://postgres@localhost/shop`

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::future::{BoxFuture, FutureExt, Shared, TryFutureExt};
use pgq::aio::{self, Handlers, Worker};
use pgq::consume::{Health, HealthProbe};
use pgq::{BoxError, Event, NewEvent, RetryPolicy, Ticker, admin};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

const QUEUE: &str = "orders";
const CONSUMER: &str = "shipping";
const TABLES: &str = "create table if not exists orders (id bigserial primary key, customer text, item text);
                      create table if not exists shipments (order_id bigint primary key, item text)";
/// The time for requests and events that are in progress at shutdown.
const GRACE: Duration = Duration::from_secs(10);

#[derive(Deserialize, Serialize)]
struct Order {
    id: i64,
    item: String,
}

#[derive(Clone)]
struct Service {
    pool: PgPool,
    conninfo: String,
    health: HealthProbe,
}

/// Inserts an order and its event, or neither.
async fn post_order(
    State(service): State<Service>,
    Path(customer): Path<String>,
    item: String,
) -> Result<(StatusCode, Json<Order>), Failure> {
    let mut transaction = service.pool.begin().await?;
    let insert = sqlx::query_scalar("insert into orders (customer, item) values ($1, $2) returning id");
    let id = insert.bind(&customer).bind(&item).fetch_one(&mut *transaction).await?;
    let order = Order { id, item };
    let event = NewEvent::json("placed", &order)?.extra1(customer);
    pgq::sqlx::insert_new_event(&mut transaction, QUEUE, &event).await?;
    transaction.commit().await?;
    Ok((StatusCode::CREATED, Json(order)))
}

/// Ships an order. After a crash the event is delivered again, and the order is in the table already.
async fn ship(pool: PgPool, order: Order) -> Result<(), sqlx::Error> {
    let insert = sqlx::query("insert into shipments (order_id, item) values ($1, $2) on conflict do nothing");
    insert.bind(order.id).bind(order.item).execute(&pool).await?;
    Ok(())
}

async fn failed_events(State(service): State<Service>) -> Result<Json<Vec<Value>>, Failure> {
    let list = |client: &mut _| admin::failed_events(client, QUEUE, CONSUMER, Some(100), 0);
    let events = aio::administer(&service.conninfo, list).await?;
    Ok(Json(events.iter().map(|event| json!({ "id": event.id(), "reason": event.reason() })).collect()))
}

async fn health(State(service): State<Service>) -> (StatusCode, String) {
    let health = service.health.get();
    let works = matches!(health, Health::Idle | Health::Working | Health::Standby);
    (if works { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, health.to_string())
}

/// The answer to a request that failed.
struct Failure(BoxError);

impl<E: Into<BoxError>> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        log::error!("a request failed: {:#}", self.0);
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

type Stop = Shared<BoxFuture<'static, ()>>;

/// Returns a future that is ready after SIGTERM or SIGINT.
fn stop_signal() -> std::io::Result<Stop> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = async move { tokio::select!(_ = terminate.recv() => {}, _ = interrupt.recv() => {}) };
    Ok(stop.boxed().shared())
}

async fn serve(address: &str, service: Service, stop: Stop) -> Result<(), BoxError> {
    let router = Router::new()
        .route("/customers/{customer}/orders", post(post_order))
        .route("/failed", get(failed_events))
        .route("/health", get(health))
        .with_state(service);
    let served = axum::serve(TcpListener::bind(address).await?, router);
    tokio::select! {
        served = served.with_graceful_shutdown(stop.clone()).into_future() => Ok(served?),
        () = async { stop.await; sleep(GRACE).await } => Err("a request does not end".into()),
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    fern::Dispatch::new().level(log::LevelFilter::Info).chain(std::io::stderr()).apply()?;
    let mut arguments = std::env::args().skip(1);
    let (address, conninfo) = arguments.next().zip(arguments.next()).ok_or("two arguments are necessary")?;
    aio::administer(&conninfo, |client| {
        pgq::schema::install(client)?;
        admin::create_queue(client, QUEUE)?;
        admin::register_consumer(client, QUEUE, CONSUMER)
    })
    .await?;
    let pool = PgPool::connect(&conninfo).await?;
    sqlx::raw_sql(TABLES).execute(&pool).await?;
    let (ticker, stop) = (Ticker::new(&conninfo), stop_signal()?);
    let ticker = spawn_blocking(|| ticker.spawn()).await??;

    let policy = RetryPolicy::exponential(Duration::from_millis(100)).max_retries(3);
    let worker = Worker::new(&conninfo, QUEUE, CONSUMER).retry(policy).shutdown_limit(GRACE);
    let service = Service { pool: pool.clone(), conninfo, health: worker.health() };
    let handlers = Handlers::new()
        .on("placed", move |aio::Json(order): aio::Json<Order>| ship(pool.clone(), order))
        .ordered_by(Event::extra1);
    let consume = worker.run_until(handlers, stop.clone()).map_err(BoxError::from);
    tokio::try_join!(serve(&address, service, stop), consume)?;
    spawn_blocking(|| drop(ticker)).await?;
    Ok(())
}
