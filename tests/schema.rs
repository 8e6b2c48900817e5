//! The schema `pgq_ext`.

use postgres::Client;

use crate::support::{Database, queues, wait_for};

fn bool_of(client: &mut Client, select: &str) -> bool {
    client.query_one(select, &[]).unwrap_or_else(|error| panic!("{select}: {error:?}")).get(0)
}

fn install() -> (Database, Client) {
    let database = Database::create("ext");
    let mut client = database.client();
    assert!(!pgq_ext::schema::is_installed(&mut client).expect("answers"));
    assert!(!pgq_ext::schema::install(&mut client).expect("installed"));
    (database, client)
}

#[test]
fn installing_twice_changes_nothing() {
    let (_database, mut client) = install();
    client.batch_execute("select pgq_ext.set_last_tick('c', 5)").expect("recorded");
    assert!(pgq_ext::schema::install(&mut client).expect("installed again"));
    assert!(pgq_ext::schema::is_installed(&mut client).expect("answers"));
    assert!(bool_of(&mut client, "select pgq_ext.get_last_tick('c') = 5"));
    assert!(bool_of(&mut client, "select pgq_ext.upgrade_schema() = 0"));
    assert!(bool_of(&mut client, "select pgq_ext.version() = '3.5'"));
}

#[test]
fn two_installations_at_once_both_succeed() {
    let database = Database::create("ext");
    std::thread::scope(|scope| {
        let install = || pgq_ext::schema::install(&mut database.client()).expect("installed");
        let threads = [scope.spawn(install), scope.spawn(install)];
        let was_there = threads.map(|thread| thread.join().expect("no panic"));
        assert_eq!(was_there.iter().filter(|there| **there).count(), 1);
    });
}

#[test]
fn batches_ticks_and_events_are_tracked_by_consumer_and_subconsumer() {
    let (_database, mut client) = install();
    for (statement, expected) in [
        ("pgq_ext.is_batch_done('c', 1)", "f"),
        ("pgq_ext.set_batch_done('c', 1)", "t"),
        ("pgq_ext.set_batch_done('c', 1)", "f"),
        ("pgq_ext.is_batch_done('c', 1)", "t"),
        ("pgq_ext.is_batch_done('c', 's', 1)", "f"),
        ("pgq_ext.set_batch_done('c', 's', 1)", "t"),
        ("pgq_ext.set_batch_done('c', 2)", "t"),
        ("pgq_ext.is_batch_done('c', 1)", "f"),
        ("pgq_ext.is_batch_done('c', 's', 1)", "t"),
        ("coalesce(pgq_ext.get_last_tick('c')::text, 'null')", "null"),
        ("pgq_ext.set_last_tick('c', 7)", "1"),
        ("pgq_ext.set_last_tick('c', 's', 8)", "1"),
        ("pgq_ext.get_last_tick('c')", "7"),
        ("pgq_ext.get_last_tick('c', 's')", "8"),
        ("pgq_ext.set_last_tick('c', null)", "1"),
        ("coalesce(pgq_ext.get_last_tick('c')::text, 'null')", "null"),
        ("pgq_ext.get_last_tick('c', 's')", "8"),
        ("pgq_ext.set_event_done('c', 3, 100)", "t"),
        ("pgq_ext.set_event_done('c', 3, 100)", "f"),
        ("pgq_ext.set_event_done('c', 3, 101)", "t"),
        ("pgq_ext.is_event_done('c', 3, 100)", "t"),
        ("pgq_ext.is_event_done('c', 's', 3, 100)", "f"),
        ("pgq_ext.set_event_done('c', 's', 3, 100)", "t"),
        ("pgq_ext.set_event_done('c', 4, 200)", "t"),
        ("pgq_ext.is_event_done('c', 3, 100)", "f"),
        ("pgq_ext.is_event_done('c', 's', 3, 100)", "t"),
        ("(select count(*) from pgq_ext.completed_event)", "2"),
    ] {
        let row = client.query_one(&format!("select {statement}::text"), &[]).expect(statement);
        let answer: &str = row.get(0);
        let answer = answer.strip_suffix("rue").or(answer.strip_suffix("alse")).unwrap_or(answer);
        assert_eq!(answer, expected, "{statement}");
    }
}

#[test]
fn tables_of_a_release_without_subconsumers_are_upgraded() {
    let database = Database::create("ext");
    let mut client = database.client();
    client
        .batch_execute(
            "create schema pgq_ext; \
             create table pgq_ext.completed_tick (consumer_id text primary key, last_tick_id bigint not null); \
             create table pgq_ext.completed_batch (consumer_id text primary key, last_batch_id bigint not null); \
             create table pgq_ext.completed_event (consumer_id text not null, batch_id bigint not null, \
                 event_id bigint not null, primary key (consumer_id, batch_id, event_id)); \
             create table pgq_ext.partial_batch (consumer_id text primary key, cur_batch_id bigint not null); \
             insert into pgq_ext.completed_tick values ('c', 5); \
             insert into pgq_ext.completed_event values ('c', 1, 2)",
        )
        .expect("created");
    pgq_ext::schema::install(&mut client).expect("upgraded");
    assert!(bool_of(&mut client, "select pgq_ext.get_last_tick('c') = 5"));
    assert!(bool_of(&mut client, "select pgq_ext.is_event_done('c', 1, 2)"));
    assert!(bool_of(&mut client, "select pgq_ext.set_last_tick('c', 's', 6) = 1"));
    assert!(bool_of(&mut client, "select pgq_ext.set_event_done('c', 's', 1, 2)"));
    assert!(bool_of(&mut client, "select pgq_ext.get_last_tick('c') = 5"));
}

#[test]
fn a_writer_may_use_but_not_change_the_record() {
    let (_database, mut client) = install();
    let role = format!("mover_{}", crate::support::unique());
    let granted = format!("create role {role}; grant pgq_writer to {role}; set role {role}");
    client.batch_execute(&granted).expect("created");
    assert!(bool_of(&mut client, "select pgq_ext.set_batch_done('c', 1)"));
    assert!(bool_of(&mut client, "select pgq_ext.is_batch_done_by_any('c', 1)"));
    assert!(bool_of(&mut client, "select not pgq_ext.is_batch_done_by_any('c', 2)"));
    assert!(bool_of(&mut client, "select pgq_ext.get_last_batch('c', '') = 1"));
    assert!(client.execute("delete from pgq_ext.completed_batch", &[]).is_err());
    assert!(client.query("select from pgq_ext.completed_batch", &[]).is_err());
}

#[test]
fn a_role_that_is_no_superuser_installs_it() {
    let database = Database::create("ext");
    let mut client = database.client();
    let role = format!("owner_{}", crate::support::unique());
    let grant = format!(
        "create role {role}; grant create on database {} to {role}; set role {role}",
        database.name()
    );
    client.batch_execute(&grant).expect("granted");
    pgq_ext::schema::install(&mut client).expect("installed");
    assert!(bool_of(&mut client, "select pgq_ext.set_batch_done('c', 1)"));
}

#[test]
fn pgq_is_installed_once() {
    let database = Database::create("pgq");
    let mut client = database.client();
    assert!(!pgq::schema::is_installed(&mut client).expect("answers"));
    let error = pgq::admin::create_queue(&mut client, "q").expect_err("not installed");
    assert!(
        error.kind() == pgq::ErrorKind::Missing
            && error.to_string().contains("schema `pgq` is not installed"),
        "{error}"
    );
    queues::install(&mut client);
    assert!(pgq::schema::is_installed(&mut client).expect("answers"));
    assert!(!pgq::schema::install(&mut client).expect("there already"));
    assert!(pgq::admin::create_queue(&mut client, "q").expect("created"));
    assert!(!pgq::admin::create_queue(&mut client, "q").expect("there already"));
    assert!(pgq::admin::create_queue(&mut client, "").expect_err("no name").kind() == pgq::ErrorKind::Usage);
}

#[test]
fn maintenance_rotates_tables() {
    let (_database, mut client) = queues::database("rotate", "q");
    client.batch_execute("select pgq.set_queue_config('q', 'rotation_period', '0')").expect("set");
    let table = "select queue_cur_table from pgq.queue where queue_name = 'q'";
    let before: i32 = client.query_one(table, &[]).expect("readable").get(0);
    // The tables do not rotate as long as a transaction runs that is older than the queue.
    wait_for("the rotation", || {
        assert!(pgq::ticker::maintain(&mut client).expect("maintained") >= 2);
        client.query_one(table, &[]).expect("readable").get::<_, i32>(0) != before
    });
    let step2 = "select queue_switch_step2 is not null from pgq.queue where queue_name = 'q'";
    assert!(bool_of(&mut client, step2));
}
