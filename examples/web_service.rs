//! An HTTP service that produces events in the transactions of its requests, and consumes them in the same process.
//!
//! `POST /accounts` creates an account by the name in its body, and with it an event; a consumer on a thread of its own
//! welcomes each account exactly once. `GET /healthz` tells how the consumer is, and is 503 when it has not reached the
//! database for half a minute. The ticker runs inside, too; where there is one already, it stands by.
//!
//! `web_service 127.0.0.1:8080 'host=localhost user=postgres dbname=queries'`: the pool reads the connection string as
//! the driver does, so the host has to be named.
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

const USAGE: &str = "usage: web_service ADDRESS CONNECTION_STRING";
const QUEUE: &str = "accounts";
const TABLES: &str = "create table if not exists account (name text primary key);
                      create table if not exists welcome (name text, at timestamptz default now())";
/// How long requests and the consumer's batch may take once the service is to end.
const GRACE: Duration = Duration::from_secs(5);
/// How long ago the consumer's last good round may be.
const PULSE_LIMIT: Duration = Duration::from_secs(30);
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

/// What every request needs.
struct Service {
    pool: Pool,
    worker: WorkerHandle,
}

impl Service {
    /// Creates the account and its event, both or neither; returns whether the name was free.
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
            totals.last_round.is_some_and(|last| last.elapsed().is_ok_and(|ago| ago <= PULSE_LIMIT));
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
        _ => reply(StatusCode::NOT_FOUND, "there are POST /accounts and GET /healthz\n"),
    }
}

async fn post_account(request: Request<Incoming>, service: Arc<Service>) -> Reply {
    let body = Limited::new(request.into_body(), BODY_LIMIT).collect().await;
    let Some(name) = body.ok().and_then(|body| String::from_utf8(body.to_bytes().into()).ok()) else {
        return reply(StatusCode::BAD_REQUEST, "the body has to be a short text\n");
    };
    match tokio::task::spawn_blocking(move || service.create_account(name.trim())).await {
        Ok(Ok(true)) => reply(StatusCode::CREATED, "created\n"),
        Ok(Ok(false)) => reply(StatusCode::CONFLICT, "there is such an account\n"),
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

async fn talk(client: TcpStream, service: Arc<Service>) {
    let answer = service_fn(move |request| {
        let service = service.clone();
        async move { Ok::<_, Infallible>(answer(request, service).await) }
    });
    let mut server = http1::Builder::new();
    let connection = server.timer(TokioTimer::new()).keep_alive(false).half_close(true);
    // A client that breaks off is its own affair.
    let _ = connection.serve_connection(TokioIo::new(client), answer).await;
}

/// Answers requests until the process is asked to end, and those of that moment for a while longer.
async fn serve(address: &str, service: &Arc<Service>) -> Result<(), BoxError> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let listener = TcpListener::bind(address).await?;
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((client, _)) = accepted {
                clients.spawn(talk(client, service.clone()));
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

fn run(address: &str, conninfo: &str) -> Result<(), BoxError> {
    let config: Config = conninfo.parse()?;
    // What is wrong with the connection is told at once; the pool would try again and again first.
    let mut client = config.connect(NoTls)?;
    client.batch_execute(TABLES)?;
    pgq::admin::create_queue(&mut client, QUEUE)?;
    drop(client);
    let pool = Pool::new(PostgresConnectionManager::new(config, NoTls))?;
    let ticker = Ticker::new(conninfo).spawn()?;
    let worker = Worker::new(conninfo, QUEUE, "welcome").spawn(Welcome)?;
    let service = Arc::new(Service { pool, worker });
    let runtime = Runtime::new()?;
    let served = runtime.block_on(serve(address, &service));
    if !service.worker.stop_within(GRACE) {
        // What it has not committed is delivered again.
        eprintln!("web_service: the consumer does not end");
        std::process::exit(1);
    }
    ticker.stop();
    runtime.shutdown_timeout(GRACE);
    served
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, conninfo] = &arguments[..] else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(address, conninfo) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("web_service: {}", one_line(&describe(&*error)));
            ExitCode::FAILURE
        }
    }
}
