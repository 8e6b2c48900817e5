//! The HTTP of the server: small requests, one each connection, with limits to everything.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use log::error;
use pgq::status::metrics;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, timeout};

use super::Subject;
use super::clients::{Client, Clients};
use super::rendered::Rendered;

/// How long a client may take to send its request.
const REQUEST_LIMIT: Duration = Duration::from_secs(3);
/// How long databases may take to answer.
const READ_LIMIT: Duration = Duration::from_secs(8);
/// How long a client may be there.
const CLIENT_LIMIT: Duration = Duration::from_secs(20);
const REQUEST_SIZE: usize = 16 * 1024;
/// How long clients may go on when the server is to end.
const GRACE: Duration = Duration::from_secs(1);
/// How long to wait when no connection can be accepted, for instance for want of files.
const PAUSE: Duration = Duration::from_millis(100);

const TEXT: &str = "text/plain; charset=utf-8";
const INDEX: &str = "/metrics: of queues and consumers, for Prometheus\n\
                     /live: whether the rounds of this process go on\n\
                     /ready: whether it has reached a database lately\n";

/// What all clients share.
struct Served {
    subject: RefCell<Subject>,
    rendered: RefCell<Rendered>,
}

type Reply = Response<Full<Bytes>>;

/// Makes what runs the server, within the thread that calls it.
pub(super) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Serves until `stopped`, and lets the clients of that moment have their answers.
pub(super) fn serve(
    runtime: &Runtime,
    socket: TcpListener,
    subject: Subject,
    stopped: oneshot::Receiver<()>,
) {
    let served = Rc::new(Served { subject: RefCell::new(subject), rendered: RefCell::default() });
    LocalSet::new().block_on(runtime, async move {
        let mut clients = Clients::default();
        tokio::select! {
            result = accept_all(socket, &mut clients, served) => if let Err(failed) = result {
                error!("metrics are not served any more: {failed}");
            },
            _ = stopped => {}
        }
        // Who is still there then is cut off.
        let _ = timeout(GRACE, clients.all_gone()).await;
    });
}

async fn accept_all(socket: TcpListener, clients: &mut Clients, served: Rc<Served>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(socket)?;
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        let served = served.clone();
        clients.admit(|client| async move {
            let _ = timeout(CLIENT_LIMIT, talk(stream, &client, &served)).await;
        });
    }
}

async fn talk(stream: TcpStream, client: &Client, served: &Served) {
    let answer = service_fn(move |request| {
        client.asks();
        async move {
            let reply = reply(&request, served).await;
            client.is_answered();
            Ok::<_, Infallible>(reply)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_LIMIT)
        .max_buf_size(REQUEST_SIZE)
        .keep_alive(false)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), answer);
    tokio::select! {
        // A client that breaks off or talks nonsense is its own affair.
        _ = connection => {}
        () = client.has_had_time() => {}
    }
}

async fn reply(request: &Request<Incoming>, served: &Served) -> Reply {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let mut reply = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        reply.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
        return reply;
    }
    match request.uri().path() {
        "/metrics" => all_metrics(served).await,
        "/live" => verdict((served.subject.borrow().alive)().live, "live\n", "not live\n"),
        "/ready" => verdict((served.subject.borrow().alive)().ready, "ready\n", "not ready\n"),
        "/" => text(StatusCode::OK, INDEX),
        _ => text(StatusCode::NOT_FOUND, "there are /metrics, /live and /ready\n"),
    }
}

async fn all_metrics(served: &Served) -> Reply {
    let reading = served.subject.borrow_mut().read(Instant::now() + READ_LIMIT);
    let (read, failed) = reading.await;
    body(StatusCode::OK, metrics::CONTENT_TYPE, served.rendered.borrow_mut().text(read, failed))
}

fn verdict(is_good: bool, good: &'static str, bad: &'static str) -> Reply {
    match is_good {
        true => text(StatusCode::OK, good),
        false => text(StatusCode::SERVICE_UNAVAILABLE, bad),
    }
}

fn text(status: StatusCode, what: &'static str) -> Reply {
    body(status, TEXT, what)
}

fn body(status: StatusCode, kind: &'static str, what: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(what.into()));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    reply
}
