//! Installing, updating and removing the store of failed events.

use std::fs;

use super::*;
use crate::support::programs::{command, errors, succeed};
use crate::support::{shared, unique};

fn stored(client: &mut Client) -> i64 {
    client.query_one("select count(*) from pgq.failed_queue", &[]).expect("countable").get(0)
}

#[test]
fn unregistering_a_consumer_deletes_its_failed_events_and_nobody_elses() {
    let (_database, mut client) = database();
    fail_two_of_three(&mut client);
    pgq::admin::register_consumer(&mut client, QUEUE, "other").expect("registered");
    queues::insert(&mut client, QUEUE, 4, 1);
    queues::tick(&mut client, QUEUE);
    let batch: i64 =
        client.query_one("select pgq.next_batch($1, 'other')", &[&QUEUE]).expect("a batch").get(0);
    fail(&mut client, batch, 4, None);
    assert_eq!(stored(&mut client), 3);
    assert!(pgq::admin::unregister_consumer(&mut client, QUEUE, CONSUMER).expect("unregistered"));
    assert_eq!(stored(&mut client), 1);
    client.query_one("select pgq.drop_queue($1, true)", &[&QUEUE]).expect("dropped");
    assert_eq!(stored(&mut client), 0);
}

#[test]
fn a_program_does_not_unregister_a_consumer_with_failed_events() {
    let (database, mut client) = database();
    fail_two_of_three(&mut client);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ini = format!("[greeter]\ndb = dbname={}\nqueue_name = {QUEUE}\n", database.name());
    fs::write(folder.path().join("consumer.ini"), ini).expect("writable");
    let mut unregister = command("greeter", folder.path());
    unregister.args(["--unregister", "consumer.ini"]);
    let refused = unregister.output().expect("starts");
    let why = format!("consumer `{CONSUMER}` on queue `{QUEUE}` has 2 failed events, which would be deleted");
    assert!(errors(&refused).contains(&why), "{}", errors(&refused));
    assert_eq!((refused.status.code(), stored(&mut client)), (Some(1), 2));
    client.batch_execute("delete from pgq.failed_queue").expect("deleted");
    let done = succeed(&mut unregister);
    assert!(errors(&done).contains("unregistered"), "{}", errors(&done));
}

#[test]
fn readers_use_the_store_and_others_do_not() {
    let (_database, mut client) = database();
    fail_two_of_three(&mut client);
    let [reader, unrelated] = ["reader", "unrelated"].map(|name| format!("{name}_{}", unique()));
    let roles =
        format!("create role {reader} in role pgq_reader; create role {unrelated}; set role {reader}");
    client.batch_execute(&roles).expect("created");
    assert_eq!(pgq::admin::count_failed_events(&mut client, QUEUE, CONSUMER).expect("counted"), 2);
    pgq::admin::retry_failed_event(&mut client, QUEUE, CONSUMER, 1).expect("retried");
    pgq::admin::delete_failed_event(&mut client, QUEUE, CONSUMER, 2).expect("deleted");
    assert!(client.execute("delete from pgq.failed_queue", &[]).is_err());
    client.batch_execute(&format!("set role {unrelated}")).expect("set");
    assert!(pgq::admin::count_failed_events(&mut client, QUEUE, CONSUMER).is_err());
    client.batch_execute("reset role").expect("reset");
    client.batch_execute(&format!("drop role {reader}, {unrelated}")).expect("dropped");
}

#[test]
fn installing_again_keeps_events() {
    let (_database, mut client) = database();
    fail_two_of_three(&mut client);
    schema::install(&mut client).expect("installed again");
    assert_eq!(ids(&list(&mut client)), [1, 2]);
}

#[test]
fn a_dump_holds_the_failed_events_and_installing_again_completes_it() {
    let (database, mut client) = database();
    fail_two_of_three(&mut client);
    let restored = Database::create("failed_restored");
    let dump = shared().client_program("pg_dump").arg("-d").arg(database.conninfo()).output().expect("runs");
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("dump.sql");
    fs::write(&file, &dump.stdout).expect("writable");
    let mut psql = shared().client_program("psql");
    psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f"]).arg(&file).arg("-d").arg(restored.conninfo());
    succeed(&mut psql);

    let mut client = restored.client();
    assert_eq!(ids(&list(&mut client)), [1, 2]);
    schema::install(&mut client).expect("installed again");
    assert_eq!(ids(&list(&mut client)), [1, 2]);
    assert!(pgq::admin::unregister_consumer(&mut client, QUEUE, CONSUMER).expect("unregistered"));
    assert_eq!(stored(&mut client), 0);
}
