//! Row security hides rows from roles that do not own the tables. Hidden events would be lost, so it is an error.

use pgq::status::Status;
use pgq::{Batch, Settings, Subscription};
use postgres::{Client, NoTls};

use super::{CONSUMER, KINDS, QUEUE, database, read};
use crate::support::{Database, queues, unique};

/// A role with these rights, and its session.
fn connect_as(database: &Database, client: &mut Client, rights: &str) -> (String, Client) {
    let role = format!("hidden_{}", unique());
    client.batch_execute(&format!("create role {role} login; grant {rights} to {role}")).expect("created");
    let conninfo = database.conninfo().replace("user=postgres", &format!("user={role}"));
    (role, Client::connect(&conninfo, NoTls).expect("the server lets it in"))
}

fn drop_role(client: &mut Client, role: &str) {
    client.batch_execute(&format!("drop owned by {role}; drop role {role}")).expect("dropped");
}

fn secure(client: &mut Client, table: &str, change: &str) {
    client.batch_execute(&format!("alter table {table} {change} row level security")).expect("altered");
}

#[track_caller]
fn assert_reported<T>(result: Result<T, pgq::Error>, table: &str) {
    let Err(error) = result else { panic!("nobody was received of {table}") };
    let text = dbscript::describe(&error);
    assert!(text.contains("row security") || text.contains("row-level security"), "{table}: {text}");
    assert!(text.contains(table.trim_start_matches("pgq.")), "{table}: {text}");
}

#[test]
fn a_batch_of_which_row_security_hides_events_is_an_error() {
    for kind in KINDS {
        for autocommit in [false, true] {
            let (database, mut client) = database(kind);
            let (role, mut reader) = connect_as(&database, &mut client, "pgq_reader");
            let mut settings = Settings::new(QUEUE, CONSUMER);
            settings.autocommit = autocommit;
            let subscription = Subscription::new(settings);
            queues::insert(&mut client, QUEUE, 0, 3);
            queues::tick(&mut client, QUEUE);
            let info = subscription.next_batch(&mut reader).expect("answers").expect("a batch");
            secure(&mut client, "pgq.event_1_0", "enable");
            let opened = Batch::open(&mut reader, &subscription, info.clone());
            assert_reported(opened.map(drop), "pgq.event_1_0");
            secure(&mut client, "pgq.event_1_0", "disable");
            let batch = Batch::open(&mut reader, &subscription, info.clone()).expect("opened");
            secure(&mut client, "pgq.event_1_0", "enable");
            assert_reported(batch.finish(), "pgq.event_1_0");
            assert_eq!(read(&mut client, QUEUE).len(), 3, "the owner sees all");
            drop(reader);
            drop_role(&mut client, &role);
        }
    }
}

#[test]
fn positions_that_row_security_hides_are_an_error() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        let (role, mut admin) = connect_as(&database, &mut client, "pgq_admin");
        let subscription = Subscription::new(Settings::new(QUEUE, CONSUMER));
        for table in ["pgq.queue", "pgq.tick", "pgq.consumer", "pgq.subscription"] {
            secure(&mut client, table, "enable");
            assert_reported(subscription.next_batch(&mut admin), table);
            assert_reported(Status::read(&mut admin), table);
            assert_reported(pgq::ticker::maintain(&mut admin), table);
            assert_reported(pgq::admin::queue_configs(&mut admin), table);
            secure(&mut client, table, "disable");
        }
        secure(&mut client, "pgq.queue", "enable");
        assert_reported(pgq::ticker::retry_events(&mut admin), "pgq.queue");
        secure(&mut client, "pgq.queue", "disable");
        secure(&mut client, "pgq.retry_queue", "enable");
        assert_reported(pgq::ticker::retry_events(&mut admin), "pgq.retry_queue");
        assert_reported(Status::read(&mut admin), "pgq.retry_queue");
        assert_reported(pgq::admin::queue_contents(&mut admin, QUEUE), "pgq.retry_queue");
        secure(&mut client, "pgq.retry_queue", "disable");
        secure(&mut client, "pgq.event_1", "enable");
        assert_reported(pgq::admin::queue_contents(&mut admin, QUEUE), "pgq.event_1");
        drop(admin);
        drop_role(&mut client, &role);
    }
}

/// The functions that other programs call.
#[test]
fn the_own_query_for_a_batch_is_an_error_too() {
    let (database, mut client) = database(pgq::schema::Kind::Own);
    let (role, mut reader) = connect_as(&database, &mut client, "pgq_reader");
    queues::insert(&mut client, QUEUE, 0, 3);
    queues::tick(&mut client, QUEUE);
    secure(&mut client, "pgq.event_1_0", "enable");
    let next = "select pgq.next_batch($1, $2)";
    let batch: i64 = reader.query_one(next, &[&QUEUE, &CONSUMER]).expect("opened").get(0);
    let events = reader.query("select * from pgq.get_batch_events($1)", &[&batch]);
    let code = events.expect_err("they are hidden").code().cloned();
    assert_eq!(code, Some(postgres::error::SqlState::INSUFFICIENT_PRIVILEGE));
    drop(reader);
    drop_role(&mut client, &role);
}

/// A handler's own tables keep their policies.
#[test]
fn a_handlers_statements_keep_their_row_security() {
    let (database, mut client) = database(pgq::schema::Kind::Own);
    let (role, mut reader) = connect_as(&database, &mut client, "pgq_reader");
    client
        .batch_execute(
            "create table mine (x int); insert into mine values (1), (2); grant select on mine to public; \
             alter table mine enable row level security; create policy one on mine using (x = 1)",
        )
        .expect("created");
    queues::insert(&mut client, QUEUE, 0, 3);
    queues::tick(&mut client, QUEUE);
    let subscription = Subscription::new(Settings::new(QUEUE, CONSUMER));
    let info = subscription.next_batch(&mut reader).expect("answers").expect("a batch");
    let mut batch = Batch::open(&mut reader, &subscription, info).expect("opened");
    let seen = |batch: &mut Batch<'_>| -> i64 {
        batch
            .db()
            .expect("a transaction is open")
            .query_one("select count(*) from mine", &[])
            .expect("readable")
            .get(0)
    };
    assert_eq!(seen(&mut batch), 1);
    batch.next_event().expect("read").expect("an event");
    assert_eq!(seen(&mut batch), 1);
    batch.finish().expect("finished");
    drop(reader);
    drop_role(&mut client, &role);
}
