//! Delayed events by the ticker.

use std::time::{Duration, SystemTime};

use pgq::Ticker;

use super::*;
use crate::support::server::Server;
use crate::support::wait_for;

/// Waits for an event in the queue; returns how long after its time it was inserted.
fn delay(client: &mut Client, data: &str) -> Duration {
    let table = "select queue_data_pfx from pgq.queue where queue_name = $1";
    let table: String = client.query_one(table, &[&QUEUE]).expect("read").get(0);
    // The time of the transaction that has inserted the event is that of no other event: the server reports commits.
    let select =
        format!("select ev_time, pg_xact_commit_timestamp(xmin) from {table} where ev_data = '{data}'");
    let mut found = None;
    wait_for("the event", || {
        found = client.query_opt(&select, &[]).expect("readable");
        found.is_some()
    });
    let row = found.expect("found");
    let (due, inserted): (SystemTime, SystemTime) = (row.get(0), row.get(1));
    inserted.duration_since(due).expect("not before its time")
}

#[test]
fn a_ticker_inserts_an_event_when_it_is_due() {
    let builders =
        [(Kind::Own, Server::builder()), (Kind::Extension, crate::support::builder_with_extension())];
    for (kind, builder) in builders {
        let server = builder.setting("track_commit_timestamp", "on").start();
        let server = server.unwrap_or_else(|error| panic!("{error}"));
        server.create_database("due");
        let mut client = server.client("due");
        queues::install_as(&mut client, kind);
        queues::create(&mut client, QUEUE);
        let tickers: Vec<_> =
            (0..2).map(|_| Ticker::new(&server.conninfo("due")).spawn().expect("up")).collect();
        insert_in(&mut client, QUEUE, 2.0, "first");
        insert_in(&mut client, QUEUE, 1.0, "second");
        let cancelled = insert_in(&mut client, QUEUE, 1.0, "cancelled");
        assert!(pgq::admin::cancel_delayed_event(&mut client, QUEUE, cancelled).expect("cancelled"));
        // The periodic delivery alone takes up to 30 seconds.
        for data in ["second", "first"] {
            let delay = delay(&mut client, data);
            assert!(delay < Duration::from_secs(10), "{kind}: {data} {delay:?}");
        }
        let delivered: u64 = tickers.iter().map(|ticker| ticker.state().status().delayed).sum();
        wait_for("the statistics", || {
            tickers.iter().map(|ticker| ticker.state().status().delayed).sum::<u64>() == 2
        });
        assert!(delivered <= 2);
        assert_eq!(queues::count(&mut client, QUEUE), 2);
        // After an outage of the ticker, everything that was due is inserted.
        drop(tickers);
        insert_in(&mut client, QUEUE, 0.0, "third");
        let _ticker = Ticker::new(&server.conninfo("due")).spawn().expect("up");
        delay(&mut client, "third");
    }
}

#[test]
fn a_ticker_that_runs_while_delayed_events_are_installed_delivers_them() {
    let (database, mut client) = templates::bare("later");
    queues::create(&mut client, QUEUE);
    let _ticker = Ticker::new(&database.conninfo()).spawn().expect("up");
    queues::insert(&mut client, QUEUE, 0, 1);
    queues::install_as(&mut client, Kind::Extension);
    insert_in(&mut client, QUEUE, 0.0, "after");
    wait_for("the event", || data(&mut client, QUEUE).contains(&"after".to_owned()));
}
