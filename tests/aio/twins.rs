//! Two processes under one name.

use pgq::aio::{Handlers, Worker};
use pgq::consume::{Health, Twin};
use pgq::{BoxError, ErrorKind, Event};

use super::{Applied, KINDS, Running, database, effects, expected, insert, is_done, settings};
use crate::support::wait_for;

#[test]
fn the_second_one_stands_by_and_takes_over() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        let start = || {
            let worker = Worker::with_settings(&database.conninfo(), settings());
            let handlers = Handlers::new().on("type", |_: Event| async { Ok::<_, BoxError>(()) });
            (worker.health(), Running::start(worker, handlers))
        };
        let (_, first) = start();
        insert(&mut client, 1, 1);
        wait_for("the first one", || is_done(&mut client));
        let (health, second) = start();
        wait_for("standing by", || health.get() == Health::Standby);
        insert(&mut client, 2, 10);
        wait_for("the events", || is_done(&mut client));
        assert_eq!(health.get(), Health::Standby, "{kind:?}");
        first.end().expect("stopped");
        wait_for("the takeover", || health.get() == Health::Idle);
        second.end().expect("stopped");
    }
}

#[test]
fn the_second_one_ends_if_it_is_to_and_names_the_first_one() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        let mut settings = settings();
        settings.twin = Twin::Stop;
        let worker = || Worker::with_settings(&database.conninfo(), settings.clone());
        let first = Running::start(worker(), Applied);
        insert(&mut client, 1, 1);
        wait_for("the first one", || is_done(&mut client));
        let busy = Running::start(worker(), Applied).end_by_itself().expect_err("there is another one");
        assert_eq!(busy.kind(), ErrorKind::Busy);
        assert!(busy.to_string().contains("another process is consuming as `billing`"), "{busy}");
        insert(&mut client, 2, 9);
        wait_for("the other events", || is_done(&mut client));
        first.end().expect("stopped");
        assert_eq!(effects(&mut client), expected(1, 10), "{kind:?}");
    }
}
