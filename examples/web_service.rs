//! An HTTP service that produces events in the transactions of its requests, and consumes them in the same process.
//!
//! - `POST /accounts` creates an account with the name in the request's body, and an event in the same transaction. A
//!   consumer on its own thread welcomes each account exactly once.
//! - `GET /healthz` reports the state of the consumer. The status is 503 when the consumer has not reached the database
//!   for 30 seconds, or for the number of seconds in the third argument.
//! - A ticker runs in the process. If another ticker is active, this one is on standby.
//!
//! Usage: `web_service 127.0.0.1:8080 'host=localhost user=postgres dbname=queries'`. The pool parses the connection
//! string with the driver, which requires `host`.
#![allow(clippy::print_stderr, reason = "a program reports its errors there")]

use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use dbscript::{describe, one_line};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use pgq::{Batch, BoxError, Consumer, Event, Outcome, Ticker, Worker, WorkerHandle};
use postgres::error::SqlState;
use postgres::{Config, NoTls};
use r2d2_postgres::PostgresConnectionManager;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::timeout;

const USAGE: &str = "usage: web_service ADDRESS CONNECTION_STRING [MAX_ROUND_AGE]";
const QUEUE: &str = "accounts";
const TABLES: &str = "create table if not exists account (name text primary key);
                      create table if not exists welcome (name text, at timestamptz default now())";
/// The time-out of requests in progress and of the consumer's batch at shutdown.
const GRACE: Duration = Duration::from_secs(5);
/// The default of the largest age of the last successful round of a healthy consumer.
const MAX_ROUND_AGE: Duration = Duration::from_secs(30);
const BODY_LIMIT: usize = 1024;

type Pool = r2d2::Pool<PostgresConnectionManager<NoTls>>;
type Reply = Response<Full<Bytes>>;

struct Welcome;

impl Consumer for Welcome {
    fn process_event(&mut self, event: &Event, batch: &mut Batch<'_>) -> Result<Outcome, BoxError> {
        batch.db()?.execute("insert into welcome (name) values ($1)", &[&event.data()])?;
        Ok(Outcome::Done)
    }
}

/// The state that requests share.
struct Service {
    pool: Pool,
    worker: WorkerHandle,
    max_round_age: Duration,
}

impl Service {
    /// Creates an account and its event in one transaction. Returns false when the account exists already.
    fn create_account(&self, name: &str) -> Result<bool, BoxError> {
        let mut client = self.pool.get()?;
        let mut transaction = client.transaction()?;
        match transaction.execute("insert into account (name) values ($1)", &[&name]) {
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => return Ok(false),
            result => result?,
        };
        pgq::insert_event(&mut transaction, QUEUE, "new", name)?;
        transaction.commit()?;
        Ok(true)
    }

    fn health(&self) -> Reply {
        let totals = self.worker.totals();
        let is_recent =
            totals.last_round.is_some_and(|last| last.elapsed().is_ok_and(|ago| ago <= self.max_round_age));
        let status = match is_recent && !self.worker.is_finished() {
            true => StatusCode::OK,
            false => StatusCode::SERVICE_UNAVAILABLE,
        };
        let (rounds, failed, events) = (totals.rounds, totals.failed, totals.count("count"));
        reply(status, format!("{{\"rounds\": {rounds}, \"failed\": {failed}, \"events\": {events}}}\n"))
    }
}

async fn answer(request: Request<Incoming>, service: Arc<Service>) -> Reply {
    match (request.method(), request.uri().path()) {
        (&Method::POST, "/accounts") => post_account(request, service).await,
        (&Method::GET, "/healthz") => service.health(),
        _ => reply(StatusCode::NOT_FOUND, "use POST /accounts or GET /healthz\n"),
    }
}

async fn post_account(request: Request<Incoming>, service: Arc<Service>) -> Reply {
    let body = Limited::new(request.into_body(), BODY_LIMIT).collect().await;
    let Some(name) = body.ok().and_then(|body| String::from_utf8(body.to_bytes().into()).ok()) else {
        return reply(StatusCode::BAD_REQUEST, "the body must be a text of at most 1024 bytes\n");
    };
    match tokio::task::spawn_blocking(move || service.create_account(name.trim())).await {
        Ok(Ok(true)) => reply(StatusCode::CREATED, "created\n"),
        Ok(Ok(false)) => reply(StatusCode::CONFLICT, "the account exists already\n"),
        Ok(Err(error)) => failed(&*error),
        Err(error) => failed(&error),
    }
}

fn failed(error: &(dyn std::error::Error + 'static)) -> Reply {
    eprintln!("web_service: {}", one_line(&describe(error)));
    reply(StatusCode::INTERNAL_SERVER_ERROR, "failed\n")
}

fn reply(status: StatusCode, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    reply
}

async fn serve_client(client: TcpStream, service: Arc<Service>) {
    let answer = service_fn(move |request| {
        let service = service.clone();
        async move { Ok::<_, Infallible>(answer(request, service).await) }
    });
    let mut server = http1::Builder::new();
    let connection = server.timer(TokioTimer::new()).keep_alive(false).half_close(true);
    // A broken connection affects only its client.
    let _ = connection.serve_connection(TokioIo::new(client), answer).await;
}

/// Serves requests until SIGINT or SIGTERM, and then waits up to 5 seconds for requests in progress.
async fn serve(address: &str, service: &Arc<Service>) -> Result<(), BoxError> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let listener = TcpListener::bind(address).await?;
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((client, _)) = accepted {
                clients.spawn(serve_client(client, service.clone()));
            },
            Some(_) = clients.join_next() => {}
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        }
    }
    drop(listener);
    let _ = timeout(GRACE, async { while clients.join_next().await.is_some() {} }).await;
    Ok(())
}

fn run(address: &str, conninfo: &str, max_round_age: Duration) -> Result<(), BoxError> {
    let config: Config = conninfo.parse()?;
    // A failed connection is reported at once. The pool would retry for 30 seconds first.
    let mut client = config.connect(NoTls)?;
    client.batch_execute(TABLES)?;
    pgq::admin::create_queue(&mut client, QUEUE)?;
    drop(client);
    let pool = Pool::new(PostgresConnectionManager::new(config, NoTls))?;
    let ticker = Ticker::new(conninfo).spawn()?;
    let worker = Worker::new(conninfo, QUEUE, "welcome").spawn(Welcome)?;
    let service = Arc::new(Service { pool, worker, max_round_age });
    let runtime = Runtime::new()?;
    let served = runtime.block_on(serve(address, &service));
    if !service.worker.stop_within(GRACE) {
        // The events of the uncommitted batch are redelivered.
        eprintln!("web_service: the consumer does not end");
        std::process::exit(1);
    }
    ticker.stop();
    runtime.shutdown_timeout(GRACE);
    served
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (address, conninfo, seconds) = match &arguments[..] {
        [address, conninfo] => (address, conninfo, Some(MAX_ROUND_AGE.as_secs())),
        [address, conninfo, seconds] => (address, conninfo, seconds.parse().ok()),
        _ => return usage(),
    };
    let Some(seconds) = seconds else { return usage() };
    match run(address, conninfo, Duration::from_secs(seconds)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("web_service: {}", one_line(&describe(&*error)));
            ExitCode::FAILURE
        }
    }
}
