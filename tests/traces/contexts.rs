//! Traces that go from producers to consumers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::trace::{SpanId, SpanKind, Status};
use pgq::aio::Handlers;
use pgq::consume::Unknown;
use pgq::schema::Kind;
use pgq::trace::{Extra, traceparent};
use pgq::{BoxError, Event, NewEvent, Outcome, Router, Worker};
use postgres::Client;
use tracing::info_span;

use super::{CONSUMER, QUEUE, asynchronous, database, database_of, insert, settings};
use crate::support::queues;
use crate::support::tracer::{Traced, capture};

/// Inserts an event within a span, and makes a tick.
fn produce(client: &mut Client) {
    let event = info_span!("request").in_scope(|| NewEvent::new("paid", "7").traceparent(Extra::Four));
    pgq::insert_new_event(client, QUEUE, &event).expect("inserted");
    queues::tick(client, QUEUE);
}

/// Retries an event at its first delivery.
fn decide(event: &Event) -> Outcome {
    if event.retry() == 0 { Outcome::Retry(Duration::ZERO) } else { Outcome::Done }
}

/// Delivers the retried event again.
fn deliver_again(client: &mut Client) {
    client.batch_execute("select pgq.maint_retry_events()").expect("retried");
    queues::tick(client, QUEUE);
}

fn named<'a>(spans: &'a [Traced], name: &str) -> Vec<&'a Traced> {
    spans.iter().filter(|span| span.name == name).collect()
}

/// Checks that both calls of the handler continue the producer's trace.
fn check(spans: &[Traced]) {
    let (request, batches) = (&named(spans, "request")[0], named(spans, "batch orders"));
    let events = named(spans, "process orders");
    assert_eq!((spans.len(), batches.len(), events.len()), (5, 2, 2), "{spans:?}");
    for (event, batch) in events.iter().zip(batches) {
        assert_eq!((event.trace, event.parent), (request.trace, request.id));
        assert_eq!(event.links, [batch.id]);
        assert!(batch.trace != request.trace && batch.parent == SpanId::INVALID, "{batch:?}");
        assert_eq!((&event.kind, &batch.kind), (&SpanKind::Consumer, &SpanKind::Consumer));
    }
    assert_eq!([&events[0].attributes["retry"], &events[1].attributes["retry"]], ["0", "1"]);
}

#[test]
fn a_blocking_handler_continues_the_trace() {
    let (database, mut client) = database();
    let worker = || Worker::with_settings(&database.conninfo(), settings());
    let router = || Router::new(Unknown::Error).on("paid", |event, _| Ok(decide(event)));
    check(&capture(|| {
        produce(&mut client);
        worker().drain(router()).expect("no error");
        deliver_again(&mut client);
        worker().drain(router()).expect("no error");
    }));
}

#[test]
fn an_asynchronous_handler_continues_the_trace() {
    let (database, mut client) = database();
    let worker = || pgq::aio::Worker::with_settings(&database.conninfo(), settings());
    let handlers =
        || Handlers::new().on("paid", |event: Event| async move { Ok::<_, BoxError>(decide(&event)) });
    check(&capture(|| {
        produce(&mut client);
        assert_eq!(asynchronous::run(worker(), handlers()), 0);
        deliver_again(&mut client);
        assert_eq!(asynchronous::run(worker(), handlers()), 0);
    }));
}

#[test]
fn a_malformed_context_is_ignored() {
    let (database, mut client) = database();
    let event = NewEvent::new("paid", "7").extra1("public.t").extra3("00-é").extra4("00-0-0-0");
    pgq::insert_new_event(&mut client, QUEUE, &event).expect("inserted");
    queues::tick(&mut client, QUEUE);
    let worker = Worker::with_settings(&database.conninfo(), settings());
    let router = Router::new(Unknown::Skip);
    let spans = capture(|| drop(worker.drain(router).expect("no error")));
    let [event, batch] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!((event.trace, event.parent, &event.links[..]), (batch.trace, batch.id, &[][..]));
}

#[test]
fn spans_have_the_attributes_of_messaging() {
    let (database, mut client) = database();
    let ids = insert(&mut client, &["failed"]);
    let worker = Worker::with_settings(&database.conninfo(), settings());
    let router = Router::new(Unknown::Error).on("failed", |_, _| Ok(Outcome::Failed("no stock".to_owned())));
    let spans = capture(|| drop(worker.drain(router).expect("no error")));
    let [event, batch] = &spans[..] else { panic!("{spans:?}") };
    for (span, operation) in [(event, "process"), (batch, "batch")] {
        for (name, value) in [
            ("system", "pgq"),
            ("operation.name", operation),
            ("operation.type", "process"),
            ("destination.name", QUEUE),
            ("consumer.group.name", CONSUMER),
        ] {
            assert_eq!(span.attributes[&format!("messaging.{name}")], value);
        }
    }
    assert_eq!(event.attributes["messaging.message.id"], ids[0].to_string());
    assert_eq!(batch.attributes["messaging.batch.message_count"], "1");
    assert_eq!((&event.status, &batch.status), (&Status::error("no stock"), &Status::Unset));
}

#[test]
fn what_a_handler_inserts_belongs_to_its_span() {
    let (database, mut client) = database();
    insert(&mut client, &["paid"]);
    let context = Arc::new(Mutex::new(None));
    let inner = context.clone();
    let handlers = Handlers::new().on("paid", move |_: Event| {
        let inner = inner.clone();
        async move {
            tokio::task::yield_now().await;
            *inner.lock().map_err(|error| error.to_string())? = traceparent();
            Ok::<_, BoxError>(())
        }
    });
    let worker = pgq::aio::Worker::with_settings(&database.conninfo(), settings());
    let spans = capture(|| assert_eq!(asynchronous::run(worker, handlers), 0));
    let event = named(&spans, "process orders")[0];
    let written = context.lock().expect("no panic").clone();
    assert_eq!(written, Some(format!("00-{}-{}-01", event.trace, event.id)));
}

const SALES: &str = "create table sale (item text); \
    create trigger sold after insert on sale for each row execute function \
        pgq.logutriga('orders', 'ev_extra4=pg_catalog.current_setting(''app.traceparent'', true)')";

#[test]
fn a_trigger_writes_the_context_that_a_setting_has() {
    for kind in [Kind::Own, Kind::Extension] {
        let (database, mut client) = database_of(kind);
        client.batch_execute(SALES).expect("created");
        let spans = capture(|| {
            info_span!("request").in_scope(|| {
                let mut sale = client.transaction().expect("begun");
                sale.execute("select set_config('app.traceparent', $1, true)", &[&traceparent()])
                    .expect("set");
                sale.batch_execute("insert into sale values ('a book')").expect("inserted");
                sale.commit().expect("committed");
            });
            client.batch_execute("insert into sale values ('a pen')").expect("inserted");
            queues::tick(&mut client, QUEUE);
            let worker = Worker::with_settings(&database.conninfo(), settings());
            worker.drain(Router::new(Unknown::Skip)).expect("no error");
        });
        let (request, batch) = (named(&spans, "request")[0], named(&spans, "batch orders")[0]);
        let parents: Vec<_> = named(&spans, "process orders").iter().map(|event| event.parent).collect();
        assert_eq!(parents, [request.id, batch.id], "{kind:?}");
    }
}
