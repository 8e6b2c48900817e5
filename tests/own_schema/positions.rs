//! Each consumer of a queue has one position, although no unique index of positions ensures it.

use postgres::Client;
use postgres::error::SqlState;

use crate::support::{Database, queues, unique, wait_for};
use pgq::schema::Kind;

fn prepare() -> (Database, Client) {
    let database = Database::create("positions");
    let mut client = database.client();
    queues::install_as(&mut client, Kind::Own);
    queues::create(&mut client, "q");
    (database, client)
}

fn positions(client: &mut Client) -> i64 {
    client.query_one("select count(*) from pgq.subscription", &[]).expect("countable").get(0)
}

/// Waits until a session waits for a lock.
fn wait_until_blocked(client: &mut Client, pid: i32) {
    wait_for("a session that waits", || {
        let blocked = "select cardinality(pg_blocking_pids($1)) > 0";
        client.query_one(blocked, &[&pid]).expect("answers").get(0)
    });
}

/// Runs a statement twice at once, the second time while the first one is not committed. Returns the second result.
fn twice(database: &Database, first: &str, second: &str, level: &str) -> Result<i32, SqlState> {
    let mut watcher = database.client();
    let mut one = database.client();
    let mut other = database.client();
    let pid = other.query_one("select pg_backend_pid()", &[]).expect("a number").get(0);
    one.batch_execute("begin").expect("begun");
    assert_eq!(one.query_one(first, &[]).expect("registers").get::<_, i32>(0), 1);
    other.batch_execute(&format!("begin isolation level {level}; select from pgq.tick")).expect("begun");
    let second = second.to_owned();
    let waiting = std::thread::spawn(move || {
        let result = other.query_one(&second, &[]).map(|row| row.get::<_, i32>(0));
        other.batch_execute("commit").expect("committed");
        result.map_err(|error| error.code().expect("an error of the server").clone())
    });
    wait_until_blocked(&mut watcher, pid);
    one.batch_execute("commit").expect("committed");
    waiting.join().expect("no panic")
}

#[test]
fn of_two_sessions_that_register_one_does() {
    for (level, expected) in
        [("read committed", Ok(0)), ("repeatable read", Err(SqlState::T_R_SERIALIZATION_FAILURE))]
    {
        for call in ["pgq.register_consumer('q', 'c')", "pgq_coop.register_subconsumer('q', 'c', 's')"] {
            let (database, mut client) = prepare();
            let statement = format!("select {call}");
            assert_eq!(twice(&database, &statement, &statement, level), expected, "{call} {level}");
            let names = "select count(distinct sub_consumer) from pgq.subscription";
            let names = client.query_one(names, &[]).expect("countable").get::<_, i64>(0);
            assert_eq!(positions(&mut client), names, "{call} {level}");
        }
    }
}

/// The first call of a new subconsumer waits for no lock of the queue, and registers it while another session does.
#[test]
fn a_subconsumer_that_another_session_registers_is_registered_once() {
    let (database, mut client) = prepare();
    client.batch_execute("select pgq.register_consumer('q', 'c')").expect("registered");
    let register = "select pgq_coop.register_subconsumer('q', 'c', 's')";
    let call = "select (pgq_coop.next_batch('q', 'c', 's') is not null)::integer";
    assert_eq!(twice(&database, register, call, "read committed"), Ok(0));
    assert_eq!(positions(&mut client), 2);
}

#[test]
fn a_second_position_that_is_written_by_hand_is_refused() {
    let (_database, mut client) = prepare();
    client
        .batch_execute("select pgq.register_consumer('q', 'c'), pgq.register_consumer('q', 'd')")
        .expect("registered");
    for statement in [
        "insert into pgq.subscription (sub_queue, sub_consumer) values (1, 1)",
        "insert into pgq.subscription (sub_queue, sub_consumer) select sub_queue, sub_consumer from pgq.subscription",
        "update pgq.subscription set sub_consumer = 1",
    ] {
        let error = client.batch_execute(statement).expect_err(statement);
        assert_eq!(error.code(), Some(&SqlState::UNIQUE_VIOLATION), "{statement}");
    }
    // A position that is moved to another consumer leaves room for another one.
    client
        .batch_execute(
            "select pgq.unregister_consumer('q', 'd'); insert into pgq.consumer (co_id, co_name) values (7, 'e'); \
             update pgq.subscription set sub_consumer = 7; \
             insert into pgq.subscription (sub_queue, sub_consumer, sub_last_tick) values (1, 1, 1)",
        )
        .expect("changed");
    assert_eq!(
        client.query_one("select pgq.register_consumer('q', 'e')", &[]).expect("answers").get::<_, i32>(0),
        0
    );
    client.batch_execute("delete from pgq.subscription").expect("deleted");
    assert_eq!(
        client.query_one("select pgq.register_consumer('q', 'e')", &[]).expect("answers").get::<_, i32>(0),
        1
    );
}

#[test]
fn a_consumer_whose_position_was_deleted_without_triggers_can_register() {
    let (_database, mut client) = prepare();
    queues::each(
        &mut client,
        &[
            "select pgq.register_consumer('q', 'c')",
            "set session_replication_role = replica",
            "delete from pgq.subscription",
            "reset session_replication_role",
        ],
    );
    let registered = client.query_one("select pgq.register_consumer('q', 'c')", &[]).expect("answers");
    assert_eq!(registered.get::<_, i32>(0), 1);
    assert_eq!(positions(&mut client), 1);
}

/// The trigger function has its owner's rights.
#[test]
fn the_trigger_is_for_positions_alone() {
    let (_database, mut client) = prepare();
    let error = client
        .batch_execute(
            "create table other (sub_queue int, sub_consumer int); \
             create trigger t after insert on other for each row execute function pgq._registration(); \
             insert into other values (1, 1)",
        )
        .expect_err("another table");
    assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE));
}

/// A publication of all tables refuses updates of a table without an identity.
#[test]
fn consumers_run_while_all_tables_are_published() {
    let server =
        crate::support::server::Server::builder().setting("wal_level", "logical").start().expect("a server");
    let mut client = server.client("postgres");
    queues::install_as(&mut client, Kind::Own);
    queues::create(&mut client, "q");
    queues::each(
        &mut client,
        &[
            "create publication everything for all tables",
            "select pgq.register_consumer('q', 'c')",
            "select pgq.insert_event('q', 'a', 'b')",
            "select pgq.ticker('q')",
            "select pgq.event_retry(pgq.next_batch('q', 'c'), 1, 0)",
            "select pgq.finish_batch(1)",
        ],
    );
    client
        .batch_execute("select pgq.maint_retry_events(); select pgq._mark_retries(true)")
        .expect("returned");
    client.batch_execute("select pgq.unregister_consumer('q', 'c')").expect("unregistered");
}

/// Changes what this release has changed back into what the first one had.
const FIRST_RELEASE: &str = "drop trigger registration on pgq.subscription; drop trigger registration_change on pgq.subscription; \
     drop table pgq.registration, pgq.retry_mark cascade; drop index pgq.subscription_newest_idx, pgq.subscription_open_idx, pgq.tick_endless_idx; \
     alter table pgq.subscription replica identity default, add constraint subscription_pkey primary key (sub_queue, sub_consumer), \
         add constraint subscription_batch_idx unique (sub_batch); \
     drop trigger retry_txid on pgq.retry_queue; drop index pgq.rq_txid_idx; \
     alter table pgq.retry_queue alter ev_txid drop default; update pgq.retry_queue set ev_txid = null; \
     create or replace function pgq._release() returns text language sql immutable as $$ select 'PgQ in SQL, release 1, 0123456789abcdef' $$; \
     comment on schema pgq is 'PgQ in SQL, release 1, 0123456789abcdef'";

#[test]
fn an_installed_schema_is_upgraded_with_its_positions_and_events() {
    let (_database, mut client) = prepare();
    queues::each(
        &mut client,
        &[
            "select pgq.register_consumer('q', 'c'), pgq_coop.register_subconsumer('q', 'c', 's')",
            "select pgq.insert_event('q', 'a', n::text) from generate_series(1, 3) n",
            "select pgq.ticker('q')",
            "select pgq.event_retry(pgq_coop.next_batch('q', 'c', 's'), 1, 0)",
        ],
    );
    client.batch_execute(FIRST_RELEASE).expect("changed back");
    let rows = "select array(select s::text from pgq.subscription s order by 1)";
    let before = client.query_one(rows, &[]).expect("readable").get::<_, Vec<String>>(0);

    let report = queues::install_as(&mut client, Kind::Own);
    assert_eq!(report.change, pgq::schema::SchemaChange::Updated);
    assert_eq!(client.query_one(rows, &[]).expect("readable").get::<_, Vec<String>>(0), before);
    assert_eq!(queues::install_as(&mut client, Kind::Own).change, pgq::schema::SchemaChange::Unchanged);
    let batch = "select count(*) from pgq.get_batch_events(pgq_coop.next_batch('q', 'c', 's'))";
    assert_eq!(client.query_one(batch, &[]).expect("readable").get::<_, i64>(0), 3);
    // A retry event of the first release has no transaction id.
    assert_eq!(
        client.query_one("select pgq.maint_retry_events()", &[]).expect("returned").get::<_, i32>(0),
        1
    );
    assert_eq!(
        client.query_one("select pgq.register_consumer('q', 'c')", &[]).expect("answers").get::<_, i32>(0),
        0
    );
}

/// The upgrade waits for transactions with batches, and they do not wait for it for ever.
#[test]
fn an_installed_schema_is_upgraded_while_a_consumer_runs() {
    let (database, mut client) = prepare();
    let name = format!("c{}", unique());
    client.execute("select pgq.register_consumer('q', $1)", &[&name]).expect("registered");
    client.batch_execute(FIRST_RELEASE).expect("changed back");
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let mut consumer = database.client();
    let running = std::thread::spawn(move || {
        let mut events = 0;
        while stopped.try_recv().is_err() {
            queues::each(
                &mut consumer,
                &["select pgq.insert_event('q', 'a', 'b')", "select pgq.ticker('q')"],
            );
            let mut transaction = consumer.transaction().expect("begun");
            let batch = transaction.query_one("select pgq.next_batch('q', $1)", &[&name]).expect("a batch");
            if let Some(batch) = batch.get::<_, Option<i64>>(0) {
                let count = "select count(*) from pgq.get_batch_events($1)";
                events += transaction.query_one(count, &[&batch]).expect("events").get::<_, i64>(0);
                transaction.execute("select pgq.finish_batch($1)", &[&batch]).expect("finished");
            }
            transaction.commit().expect("committed");
        }
        events
    });
    wait_for("batches", || {
        let batches = "select last_value > 5 from pgq.batch_id_seq";
        client.query_one(batches, &[]).expect("answers").get(0)
    });
    queues::install_as(&mut client, Kind::Own);
    let reached =
        client.query_one("select last_value from pgq.batch_id_seq", &[]).expect("a number").get::<_, i64>(0);
    wait_for("batches after the upgrade", || {
        let batches = "select last_value > $1 from pgq.batch_id_seq";
        client.query_one(batches, &[&(reached + 5)]).expect("answers").get(0)
    });
    stop.send(()).expect("it runs");
    let read = running.join().expect("no error");
    let inserted = client
        .query_one("select last_value from pgq.event_1_id_seq", &[])
        .expect("a number")
        .get::<_, i64>(0);
    assert_eq!(read, inserted);
}
