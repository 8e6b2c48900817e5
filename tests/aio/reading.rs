//! Which events a batch has, and when it is read.

use std::time::Duration;

use pgq::aio::Worker;
use pgq::schema::Kind;
use pgq::{BoxError, Settings};

use super::{Applied, KINDS, QUEUE, Running, database, effects, expected, insert, is_done, run, settings};
use crate::support::{queues, wait_for};

/// Returns the data of all events that there are, batch by batch.
fn read(conninfo: &str, settings: Settings) -> Vec<Vec<String>> {
    let worker = Worker::with_settings(conninfo, settings);
    let read = run(async move {
        let mut batches = worker.batches().await?;
        let mut read = Vec::new();
        while let Some(mut batch) = batches.try_next().await? {
            let mut events = Vec::new();
            while let Some(event) = batch.next_event().await? {
                events.push(event.data().unwrap_or_default().to_owned());
            }
            batch.commit().await?;
            read.push(events);
        }
        Ok::<_, BoxError>(read)
    });
    read.expect("read")
}

#[test]
fn the_filter_leaves_out_the_events_of_other_tables() {
    for kind in KINDS {
        for autocommit in [false, true] {
            let (database, mut client) = database(kind);
            let insert = "select count(pgq.insert_event($1, 'I', n::text, \
                     (array['public.a', 'public.b', null, 'o''dd'])[n % 4 + 1], null, null, null)) \
                 from generate_series(0, 19) n";
            client.execute(insert, &[&QUEUE]).expect("inserted");
            queues::tick(&mut client, QUEUE);
            let mut settings = settings();
            settings.table_filter = vec!["public.a".to_owned(), "o'dd".to_owned()];
            (settings.autocommit, settings.lazy_fetch) = (autocommit, Some(3));
            let mine: Vec<String> =
                (0..20).filter(|n| matches!(n % 4, 0 | 3)).map(|n: i32| n.to_string()).collect();
            assert_eq!(read(&database.conninfo(), settings), [mine], "{kind:?} {autocommit}");
            assert!(is_done(&mut client));
        }
    }
}

#[test]
fn several_ticks_are_read_as_one_batch_up_to_a_number_of_events() {
    for kind in KINDS {
        // The first event of a queue of the extension does not count.
        let twenty = if kind == Kind::Own { [20, 40] } else { [30, 30] };
        for (merged, sizes) in [(50_000, vec![60]), (0, vec![10; 6]), (20, twenty.to_vec())] {
            let (database, mut client) = database(kind);
            for round in 0..6 {
                insert(&mut client, 1 + round * 10, 10);
            }
            let mut settings = settings();
            settings.merge_events = merged;
            let read = read(&database.conninfo(), settings);
            assert_eq!(read.iter().map(Vec::len).collect::<Vec<_>>(), sizes, "{kind:?} {merged}");
            assert_eq!(read.concat(), expected(1, 60));
        }
    }
}

#[test]
fn a_notification_ends_the_wait_for_a_tick_and_without_it_the_delay_does() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        let ticker = pgq::Ticker::new(&database.conninfo()).spawn().expect("up");
        for (listen, delay) in [(true, Duration::from_secs(3600)), (false, Duration::from_millis(10))] {
            client.batch_execute("truncate effect").expect("emptied");
            let mut settings = settings();
            settings.listen = listen;
            let worker = Worker::with_settings(&database.conninfo(), settings).loop_delay(delay);
            let health = worker.health();
            let running = Running::start(worker, Applied);
            for number in 1..4 {
                queues::insert(&mut client, QUEUE, number, 1);
                let number = usize::try_from(number).expect("small");
                wait_for("the event", || effects(&mut client).len() == number);
                wait_for("the next wait", || health.get() == pgq::consume::Health::Idle);
            }
            running.end().expect("stopped");
        }
        drop(ticker);
    }
}
