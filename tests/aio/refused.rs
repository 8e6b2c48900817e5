//! Workers that cannot start or continue report the reason in one line.

use pgq::Settings;
use pgq::aio::Worker;
use pgq::consume::Health;
use postgres::Client;

use super::{Applied, CONSUMER, KINDS, QUEUE, Running, database, insert, settings};
use crate::support::{Database, unique, wait_for};

/// Fails unless a worker ends by itself with an error that contains a text and is one line.
#[track_caller]
fn is_refused(conninfo: &str, settings: Settings, expected: &str) {
    let running = Running::start(Worker::with_settings(conninfo, settings), Applied);
    let error = dbscript::describe(&running.end_by_itself().expect_err("it is wrong"));
    assert!(error.contains(expected) && !error.contains('\n'), "{error}");
}

/// Creates a role without rights, and returns its name and its connection string.
fn nobody(client: &mut Client, conninfo: &str) -> (String, String) {
    let role = format!("nobody_{}", unique());
    client.batch_execute(&format!("create role {role} login")).expect("the role is new");
    let conninfo = conninfo.replace("user=postgres", &format!("user={role}"));
    (role, conninfo)
}

#[test]
fn a_worker_that_cannot_start_ends_with_one_line() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        let conninfo = database.conninfo();
        let nowhere = conninfo.replace(database.name(), "nowhere");
        let empty = Database::create_for(kind, "empty");
        let (_, nobody) = nobody(&mut client, &conninfo);
        is_refused("dbname=x unusual=1", settings(), "unknown keyword `unusual`");
        is_refused(&nowhere, settings(), "database \"nowhere\" does not exist");
        is_refused(&empty.conninfo(), settings(), "schema `pgq` is not installed in this database");
        is_refused(&conninfo, Settings::new("order", CONSUMER), "queue `order` does not exist");
        is_refused(&conninfo, Settings::new(QUEUE, ""), "a consumer's name must not be empty");
        let shipping = Settings::new(QUEUE, "shipping");
        is_refused(&nobody, shipping, "cannot register consumer `shipping` (queue `orders`): ERROR 42501");
        insert(&mut client, 1, 1);
        let mut autocommit = settings();
        autocommit.autocommit = true;
        is_refused(&conninfo, autocommit, "no transaction is open: the consumer runs with autocommit");
    }
}

#[test]
fn the_health_shows_that_a_right_is_missing_and_that_it_was_granted() {
    let (database, mut client) = database(KINDS[0]);
    let (role, nobody) = nobody(&mut client, &database.conninfo());
    let worker = Worker::with_settings(&nobody, settings());
    let health = worker.health();
    assert_eq!(health.get(), Health::Starting);
    let running = Running::start(worker, Applied);
    let missing = "cannot open the next batch of consumer `billing` (queue `orders`): ERROR 42501";
    wait_for("the error", || matches!(health.get(), Health::Failing(error) if error.contains(missing)));
    client.batch_execute(&format!("grant pgq_reader to {role}")).expect("granted");
    wait_for("a batch, or none", || health.get() == Health::Idle);
    running.end().expect("stopped");
}
