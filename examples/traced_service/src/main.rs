//! A service whose traces go from a request through the queue to the handler, and over OTLP to a collector.
//!
//! Each line of standard input is a request: an order, which is inserted together with its event, in a span. The
//! handler of the event runs in a span of the same trace. The service ends with standard input.
//!
//! Usage: `traced_service 'host=localhost user=postgres dbname=shop'`. Spans go to `OTEL_EXPORTER_OTLP_ENDPOINT`, which
//! defaults to `http://localhost:4318`.

use std::process::ExitCode;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use pgq::aio::{Handlers, Worker};
use pgq::trace::Extra;
use pgq::{BoxError, Event, NewEvent, RetryPolicy, Ticker};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::sync::oneshot;
use tokio_postgres::{Client, NoTls};
use tracing::level_filters::LevelFilter;
use tracing::{Instrument, info, info_span};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

const SERVICE: &str = "traced_service";
const QUEUE: &str = "orders";
const TABLE: &str = "create table if not exists sale (item text)";

/// Sends the spans of the process to a collector.
fn export_spans() -> Result<SdkTracerProvider, BoxError> {
    let exporter = SpanExporter::builder().with_http().with_protocol(Protocol::HttpJson).build()?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(Resource::builder().with_service_name(SERVICE).build())
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer(SERVICE));
    let log = tracing_subscriber::fmt::layer();
    tracing_subscriber::registry().with(LevelFilter::INFO).with(layer).with(log).try_init()?;
    Ok(provider)
}

/// Inserts an order and its event in one transaction.
async fn accept(client: &mut Client, item: &str) -> Result<(), BoxError> {
    let transaction = client.transaction().await?;
    transaction.execute("insert into sale (item) values ($1)", &[&item]).await?;
    let event = NewEvent::new("sold", item).traceparent(Extra::Four);
    pgq::tokio::insert_new_event(&transaction, QUEUE, &event).await?;
    transaction.commit().await?;
    info!("accepted");
    Ok(())
}

async fn accept_all(mut client: Client) -> Result<(), BoxError> {
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(item) = lines.next_line().await? {
        let request = info_span!("accept order", otel.kind = "server", item);
        accept(&mut client, &item).instrument(request).await?;
    }
    Ok(())
}

async fn ship(event: Event) -> Result<(), BoxError> {
    let item = event.data().ok_or("the order has no item")?;
    let shipping = info_span!("ship", item);
    async {
        if item.is_empty() {
            return Err("nothing to ship".into());
        }
        info!("shipped");
        Ok(())
    }
    .instrument(shipping)
    .await
}

/// Creates the schema, the queue and the table unless they exist.
fn prepare(conninfo: &str) -> Result<(), BoxError> {
    let mut client = pgq::postgres::Client::connect(conninfo, NoTls)?;
    pgq::schema::install(&mut client)?;
    pgq::admin::create_queue(&mut client, QUEUE)?;
    client.batch_execute(TABLE)?;
    Ok(())
}

async fn serve(conninfo: &str) -> Result<(), BoxError> {
    let (client, connection) = tokio_postgres::connect(conninfo, NoTls).await?;
    tokio::spawn(connection);
    let handlers = Handlers::new().on("sold", ship);
    let policy = RetryPolicy::exponential(Duration::from_secs(10)).max_retries(0);
    let (stop, stopped) = oneshot::channel::<()>();
    let worker = Worker::new(conninfo, QUEUE, "shipping").retry(policy);
    let worker = tokio::spawn(worker.run_until(handlers, async { drop(stopped.await) }));
    let accepted = accept_all(client).await;
    drop(stop);
    worker.await??;
    accepted
}

fn run(conninfo: &str) -> Result<(), BoxError> {
    let provider = export_spans()?;
    prepare(conninfo)?;
    let ticker = Ticker::new(conninfo).spawn()?;
    let served = tokio::runtime::Runtime::new()?.block_on(serve(conninfo));
    ticker.stop();
    // Sends the last spans.
    provider.shutdown()?;
    served
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [conninfo] = &arguments[..] else {
        eprintln!("usage: traced_service CONNECTION_STRING");
        return ExitCode::from(2);
    };
    match run(conninfo) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("traced_service: {error:#}");
            ExitCode::FAILURE
        }
    }
}
