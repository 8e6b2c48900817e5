//! The cost of the own schema compared with the extension.
//!
//! The times are those of statements, measured by a client on the same machine. "A call a statement" includes the round
//! trip to the server, as for producers. The other operations run many calls or rows in one statement, so that the
//! round trip is negligible.

use std::time::Duration;

use postgres::Client;

use crate::BoxError;
use crate::comparison::{Comparison, Figure, Operation, timed};
use crate::testbed::Testbed;

const QUEUE: &str = "compared";
const IDLE_QUEUES: u32 = 1_000;
/// The number of events of a work per call or row in this comparison.
const EVENTS_PER_ROW: u64 = 100;
/// The number of events of a work per read event in this comparison.
const EVENTS_PER_READ: u64 = 10;
const IDLE_TICKS: u32 = 20;

const INSERT_LIMIT: f64 = 2.0;
const TRIGGER_LIMIT: f64 = 3.0;
const READ_LIMIT: f64 = 0.8;
const TICKER_LIMIT: f64 = 0.3;

const TRIGGERS: [&str; 3] = ["logutriga", "sqltriga", "jsontriga"];

/// A typical table: a key, texts, numbers, a time.
const TABLE: &str = "create table orders (id int primary key, customer text, status varchar(10), \
     amount numeric(10,2), quantity int, paid boolean, created timestamptz, note text)";

const INSERT: &str = "insert into orders select i, 'customer ' || i % 997 || '@example.org', 'new', i * 1.25, \
     i % 7, i % 3 = 0, timestamptz '2024-01-01 12:00:00.123456+00' + i * interval '1 second', \
     'deliver to door ' || i from generate_series(1, $1) i";

const CHANGES: [(&str, &str); 3] = [
    ("insert", INSERT),
    ("update", "update orders set status = 'sent', amount = amount + 1 where id <= $1"),
    ("delete", "delete from orders where id <= $1"),
];

const EVENT: &str =
    "select pgq.insert_event($1, 'I', rpad('id=' || $2::int, 75, 'x'), 'public.orders', null, null, null)";

const EVENTS: &str = "select pgq.insert_event($1, 'I', rpad('id=' || i, 75, 'x'), 'public.orders', null, null, \
     null) from generate_series(1, $2::int) i";

/// Measures both schemas.
///
/// # Errors
///
/// When the server does not have the extension, or one of the two fails.
pub(crate) fn measure(testbed: &Testbed, comparison: &mut Comparison) -> Result<Vec<Figure>, BoxError> {
    comparison.both(&format!("select pgq.create_queue('{QUEUE}'); {TABLE}"))?;
    let rows = i32::try_from((testbed.events() / EVENTS_PER_ROW).max(1))?;
    let mut figures = Vec::new();
    for operation in calls(rows) {
        figures.push(comparison.measure(&operation)?);
    }
    for function in TRIGGERS {
        for (number, (name, _)) in CHANGES.iter().enumerate() {
            let operation = Operation {
                name: format!("{function}, {name}, a row"),
                at_most: TRIGGER_LIMIT,
                units: u64::try_from(rows)?,
                sample: Box::new(move |client| change(client, function, number, rows)),
            };
            figures.push(comparison.measure(&operation)?);
        }
    }
    let events = i32::try_from((testbed.events() / EVENTS_PER_READ).max(1))?;
    let read = read(comparison, events)?;
    figures.push(comparison.measure(&read)?);
    comparison.both(&format!("select pgq.drop_queue('{QUEUE}', true)"))?;
    let idle = idle(comparison)?;
    figures.push(comparison.measure(&idle)?);
    Ok(figures)
}

fn calls(rows: i32) -> [Operation<'static>; 3] {
    let operation = |name: &str, sample: fn(&mut Client, i32) -> Result<Duration, BoxError>| Operation {
        name: format!("insert_event, {name}"),
        at_most: INSERT_LIMIT,
        units: u64::from(rows.unsigned_abs()),
        sample: Box::new(move |client: &mut Client| {
            let time = sample(client, rows)?;
            take_events(client, rows)?;
            Ok(time)
        }),
    };
    [
        operation("a call a statement", |client, rows| {
            let statement = client.prepare(EVENT)?;
            let mut transaction = client.transaction()?;
            let (time, ()) = timed(|| {
                (0..rows).try_for_each(|i| transaction.execute(&statement, &[&QUEUE, &i]).map(|_| ()))
            })?;
            transaction.commit()?;
            Ok(time)
        }),
        operation("a call a transaction", |client, rows| {
            let statement = client.prepare(EVENT)?;
            let (time, ()) =
                timed(|| (0..rows).try_for_each(|i| client.execute(&statement, &[&QUEUE, &i]).map(|_| ())))?;
            Ok(time)
        }),
        operation("many calls a statement", |client, rows| {
            Ok(timed(|| client.execute(EVENTS, &[&QUEUE, &rows]))?.0)
        }),
    ]
}

/// Measures one kind of change to all rows of a table with a trigger.
fn change(client: &mut Client, function: &str, number: usize, rows: i32) -> Result<Duration, BoxError> {
    client.batch_execute("drop trigger if exists x on orders; truncate orders")?;
    for (_, before) in &CHANGES[..number] {
        client.execute(*before, &[&rows])?;
    }
    client.batch_execute("vacuum analyze orders")?;
    client.batch_execute(&format!(
        "create trigger x after insert or update or delete on orders \
         for each row execute function pgq.{function}('{QUEUE}')"
    ))?;
    let statement = client.prepare(CHANGES[number].1)?;
    let (time, _) = timed(|| client.execute(&statement, &[&rows]))?;
    take_events(client, rows)?;
    Ok(time)
}

/// Verifies the number of events in the queue, and truncates it.
fn take_events(client: &mut Client, expected: i32) -> Result<(), BoxError> {
    let statement = "select queue_data_pfx || '_' || queue_cur_table from pgq.queue where queue_name = $1";
    let table: String = client.query_one(statement, &[&QUEUE])?.get(0);
    let found: i64 = client.query_one(&format!("select count(*) from {table}"), &[])?.get(0);
    if found != i64::from(expected) {
        return Err(format!("{found} events instead of {expected}").into());
    }
    Ok(client.batch_execute(&format!("truncate {table}"))?)
}

/// Opens a batch in both databases, and makes the operation that reads it.
fn read(comparison: &mut Comparison, events: i32) -> Result<Operation<'static>, BoxError> {
    let event = EVENTS.replace("$1", &format!("'{QUEUE}'")).replace("$2", &events.to_string());
    for statement in [
        format!("select pgq.set_queue_config('{QUEUE}', 'ticker_max_count', '1')"),
        format!("select pgq.register_consumer('{QUEUE}', 'reader')"),
        format!("select count(*) from ({event}) inserted"),
        format!("select pgq.ticker('{QUEUE}')"),
        "vacuum analyze".to_owned(),
    ] {
        comparison.both(&statement)?;
    }
    Ok(Operation {
        name: format!("get_batch_events, {events} of them, an event"),
        at_most: READ_LIMIT,
        units: u64::try_from(events)?,
        sample: Box::new(move |client| {
            let statement = "select count(*), sum(length(ev_data)) from pgq.get_batch_events($1)";
            let statement = client.prepare(statement)?;
            let batch: i64 = client.query_one("select pgq.next_batch($1, 'reader')", &[&QUEUE])?.get(0);
            let (time, row) = timed(|| client.query_one(&statement, &[&batch]))?;
            match row.get::<_, i64>(0) {
                found if found == i64::from(events) => Ok(time),
                found => Err(format!("{found} events instead of {events}").into()),
            }
        }),
    })
}

/// Creates many queues without ticks for hours, and makes the operation of their ticker.
fn idle(comparison: &mut Comparison) -> Result<Operation<'static>, BoxError> {
    for first in (1..IDLE_QUEUES).step_by(100) {
        let last = first + 99;
        comparison.both(&format!(
            "select pgq.create_queue('idle_' || i) from generate_series({first}, {last}) i"
        ))?;
    }
    comparison
        .both("update pgq.queue set queue_ticker_max_lag = '1 day', queue_ticker_idle_period = '1 day'")?;
    // A queue counts as idle after two ticks.
    for statement in ["select pgq.ticker()", "select pgq.ticker()", "vacuum analyze"] {
        comparison.both(statement)?;
    }
    Ok(Operation {
        name: format!("idle ticker over {IDLE_QUEUES} queues"),
        at_most: TICKER_LIMIT,
        units: u64::from(IDLE_TICKS),
        sample: Box::new(|client| {
            let statement = client.prepare("select coalesce(pgq.ticker(), 0)")?;
            let (time, made) = timed(|| {
                (0..IDLE_TICKS).try_fold(0, |made, _| {
                    Ok::<_, postgres::Error>(made + client.query_one(&statement, &[])?.get::<_, i64>(0))
                })
            })?;
            match made {
                0 => Ok(time),
                _ => Err(format!("{made} ticks of idle queues").into()),
            }
        }),
    })
}
