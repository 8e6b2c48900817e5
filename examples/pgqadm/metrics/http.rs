//! The HTTP of the metrics server: one small request for each connection, with limits of time and size.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use pgq::status::metrics;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::Health;
use super::scrape::Metrics;

/// The time-out of a client's request.
const REQUEST_LIMIT: Duration = Duration::from_secs(3);
/// The time-out of a client's connection, which is longer than that of a request and a scrape together.
const CLIENT_LIMIT: Duration = Duration::from_secs(13);
/// The largest number of connected clients. A further client replaces the one that connected first.
const MOST_CLIENTS: usize = 256;
const REQUEST_SIZE: usize = 16 * 1024;
/// The wait after a connection could not be accepted, for example because the process has too many open files.
const PAUSE: Duration = Duration::from_millis(100);

const TEXT: &str = "text/plain; charset=utf-8";
const INDEX: &str = "/metrics: metrics of queues and consumers, for Prometheus\n\
                     /live: 200 while the rounds of this process continue, else 503\n\
                     /ready: 200 if this process has reached a database recently, else 503\n";

/// The sources of the server's replies.
pub(super) struct Served {
    pub(super) metrics: Metrics,
    pub(super) health: Box<dyn Fn() -> Health + Send + Sync>,
}

/// Serves on a thread of its own until the returned runtime is dropped.
pub(super) fn serve(socket: std::net::TcpListener, served: Served) -> io::Result<Runtime> {
    let mut threads = Builder::new_multi_thread();
    let runtime = threads.worker_threads(1).thread_name("metrics").enable_all().build()?;
    socket.set_nonblocking(true)?;
    let listener = runtime.block_on(async { TcpListener::from_std(socket) })?;
    runtime.spawn(accept_all(listener, Arc::new(served)));
    Ok(runtime)
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
    let reply = Response::builder();
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let reply = reply.status(StatusCode::METHOD_NOT_ALLOWED).header(ALLOW, "GET, HEAD");
        return reply.header(CONTENT_TYPE, TEXT).body("only GET and HEAD\n".into());
    }
    let verdict = |is_good, good, bad| match is_good {
        true => (StatusCode::OK, good),
        false => (StatusCode::SERVICE_UNAVAILABLE, bad),
    };
    let (status, text) = match request.uri().path() {
        "/metrics" => {
            let text = served.metrics.text().await;
            return reply.header(CONTENT_TYPE, metrics::CONTENT_TYPE).body(text.into());
        }
        "/live" => verdict((served.health)().is_live, "live\n", "not live\n"),
        "/ready" => verdict((served.health)().is_ready, "ready\n", "not ready\n"),
        "/" => (StatusCode::OK, INDEX),
        _ => (StatusCode::NOT_FOUND, "the paths are /metrics, /live and /ready\n"),
    };
    reply.status(status).header(CONTENT_TYPE, TEXT).body(text.into())
}
