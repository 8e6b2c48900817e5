//! The HTTP of the server: one small request for each connection, with limits of time and size.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::ALLOW;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::access::Access;
use super::answer::Answer;
use super::history::{self, History};
use super::reading::Readings;
use super::{Health, page, scrape};

/// The time-out of a client's request.
const REQUEST_LIMIT: Duration = Duration::from_secs(3);
/// The time-out of a client's connection, which is longer than that of a request and a scrape together.
const CLIENT_LIMIT: Duration = Duration::from_secs(13);
/// The largest number of connected clients. A further client replaces the one that connected first.
const MOST_CLIENTS: usize = 256;
const REQUEST_SIZE: usize = 16 * 1024;
/// The wait after a connection could not be accepted, for example because the process has too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// The age of the status on a page, at most. So many browsers cause no more than one reading in this time.
const PAGE_AGE: Duration = Duration::from_secs(2);
/// The time until the first sample while the tickers start.
const STARTING: Duration = Duration::from_secs(1);

/// The sources of the server's answers.
pub(super) struct Served {
    pub(super) readings: Readings,
    pub(super) history: Mutex<History>,
    pub(super) access: Access,
    pub(super) health: Box<dyn Fn() -> Health + Send + Sync>,
}

impl Served {
    pub(super) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves on a thread of its own until the returned runtime is dropped.
pub(super) fn serve(socket: std::net::TcpListener, served: Served) -> io::Result<Runtime> {
    let mut threads = Builder::new_multi_thread();
    let runtime = threads.worker_threads(1).thread_name("metrics").enable_all().build()?;
    socket.set_nonblocking(true)?;
    let listener = runtime.block_on(async { TcpListener::from_std(socket) })?;
    let served = Arc::new(served);
    runtime.spawn(sample_all(served.clone()));
    runtime.spawn(accept_all(listener, served));
    Ok(runtime)
}

/// Adds a sample to the history in each period.
async fn sample_all(served: Arc<Served>) {
    loop {
        let reading = served.readings.read(Duration::ZERO).await;
        served.history().add(&reading);
        sleep(if reading.databases.is_empty() { STARTING } else { history::PERIOD }).await;
    }
}

async fn accept_all(listener: TcpListener, served: Arc<Served>) {
    let mut clients = JoinSet::new();
    let mut connected: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        while clients.try_join_next().is_some() {}
        connected.retain(|client| !client.is_finished());
        if connected.len() >= MOST_CLIENTS
            && let Some(first) = connected.pop_front()
        {
            first.abort();
        }
        connected.push_back(clients.spawn(timeout(CLIENT_LIMIT, talk(stream, served.clone()))));
    }
}

async fn talk(stream: TcpStream, served: Arc<Served>) {
    // A connection that breaks, or a client that does not use HTTP, needs no report.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_LIMIT)
        .max_buf_size(REQUEST_SIZE)
        .keep_alive(false)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service_fn(|request| reply(request, &served)))
        .await;
}

async fn reply(request: Request<Incoming>, served: &Served) -> hyper::http::Result<Response<Full<Bytes>>> {
    answer(&request, served).await.into_response()
}

async fn answer(request: &Request<Incoming>, served: &Served) -> Answer {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let text = "only GET and HEAD\n";
        return Answer::text(StatusCode::METHOD_NOT_ALLOWED, text).with_header(ALLOW, "GET, HEAD");
    }
    let verdict = |is_good, good, bad| match is_good {
        true => Answer::text(StatusCode::OK, good),
        false => Answer::text(StatusCode::SERVICE_UNAVAILABLE, bad),
    };
    match request.uri().path() {
        // A supervisor has no password, and learns nothing else.
        "/live" => verdict((served.health)().is_live, "live\n", "not live\n"),
        "/ready" => verdict((served.health)().is_ready, "ready\n", "not ready\n"),
        path => match served.access.check(request.uri(), request.headers()) {
            Ok(()) => shown(path, request.uri().query().unwrap_or_default(), served).await,
            Err(refusal) => refusal.answer(),
        },
    }
}

/// Returns the answer for a client that may read pages and metrics.
async fn shown(path: &str, query: &str, served: &Served) -> Answer {
    if path == "/metrics" {
        let reading = served.readings.read(Duration::ZERO).await;
        return scrape::answer(&reading);
    }
    match page::file(path) {
        Some(file) => file,
        None => page::answer(path, query, served, PAGE_AGE).await,
    }
}
