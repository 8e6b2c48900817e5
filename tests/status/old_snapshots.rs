//! Whatever keeps dead rows is named.

use pgq::status::{Limits, OldSnapshot};

use super::*;
use crate::support::server::Server;
use crate::support::wait_for;

fn primary() -> Server {
    let server = Server::builder().setting("max_prepared_transactions", "5").setting("wal_level", "replica");
    server.start().unwrap_or_else(|error| panic!("{error}"))
}

fn prepared(server: &Server) -> Client {
    let mut client = server.client("postgres");
    queues::install_as(&mut client, Kind::Own);
    queues::create(&mut client, "q");
    client
}

#[test]
fn the_transaction_with_the_oldest_snapshot_comes_first() {
    let server = primary();
    let mut client = prepared(&server);
    assert_eq!(read(&mut client).old_snapshots, []);

    let mut reader = server.client("postgres");
    reader
        .batch_execute(
            "set application_name = 'report'; begin isolation level repeatable read; select from pgq.queue",
        )
        .expect("a snapshot");
    let mut writer = server.client("postgres");
    writer
        .batch_execute("begin; select pgq.insert_event('q', 'a', 'b'); prepare transaction 'held'")
        .expect("prepared");
    queues::tick(&mut client, "q");
    // A session of another database keeps no row of this one.
    let mut other = server.client("template1");
    other.batch_execute("begin isolation level repeatable read; select from pg_class").expect("a snapshot");

    let pid = reader.query_one("select pg_backend_pid()", &[]).expect("a number").get::<_, i32>(0);
    let status = read(&mut client);
    match &*status.old_snapshots {
        [OldSnapshot::Transaction(first), OldSnapshot::Transaction(second)] => {
            assert_eq!(first.pid, Some(pid));
            assert_eq!(first.user.as_deref(), Some("postgres"));
            assert_eq!(first.application.as_deref(), Some("report"));
            assert_eq!(first.state.as_deref(), Some("idle in transaction"));
            assert!(first.age.is_some() && second.age.is_some());
            assert_eq!((second.pid, second.prepared.as_deref()), (None, Some("held")));
        }
        others => panic!("{others:?}"),
    }
    // A minute is not over.
    assert!(!status.to_string().contains("dead rows"), "{status}");
    let mut limits = Limits::default();
    limits.snapshot_age = "0,9999".parse().expect("limits");
    let verdict = limits.check(&status).to_string();
    assert!(verdict.contains("dead rows are kept by transaction of process"), "{verdict}");
    client.batch_execute("rollback prepared 'held'").expect("rolled back");
    reader.batch_execute("rollback").expect("rolled back");
    assert_eq!(read(&mut client).old_snapshots, []);
}

#[test]
fn a_slot_and_a_standby_with_feedback_are_named() {
    let server = primary();
    let mut client = prepared(&server);
    client.batch_execute("select pg_create_physical_replication_slot('spare')").expect("created");
    let standby = server.start_standby().unwrap_or_else(|error| panic!("{error}"));
    // A standby is copied from a server that is stopped.
    let mut client = server.client("postgres");
    let mut on_standby = standby.client("postgres");
    let set = |client: &mut Client, setting: &str| {
        client.batch_execute(&format!("alter system set {setting}")).expect("set");
        client.batch_execute("select pg_reload_conf()").expect("reloaded");
    };
    set(&mut on_standby, "wal_receiver_status_interval = '1s'");
    set(&mut on_standby, "hot_standby_feedback = on");
    on_standby
        .batch_execute("begin isolation level repeatable read; select from pgq.queue")
        .expect("a snapshot");
    let mut found = Vec::new();
    wait_for("the standby's feedback", || {
        queues::tick(&mut client, "q");
        found = read(&mut client).old_snapshots;
        matches!(&*found, [OldSnapshot::Standby { age: Some(_), .. }])
    });

    set(&mut standby.client("postgres"), "primary_slot_name = 'spare'");
    wait_for("the slot", || {
        queues::tick(&mut client, "q");
        found = read(&mut client).old_snapshots;
        matches!(&*found, [OldSnapshot::Slot { name, active: true, age: Some(_) }] if name == "spare")
    });
    // The tick after the snapshot is the only measure of time.
    client.batch_execute("update pgq.tick set tick_time = tick_time - interval '2 hours'").expect("set");
    let status = read(&mut client);
    assert!(
        status.to_string().contains("\n* dead rows are kept by replication slot `spare` (active, at least 7"),
        "{status}"
    );

    drop(on_standby);
    drop(standby);
    wait_for("the slot without its standby", || {
        matches!(&*read(&mut client).old_snapshots, [OldSnapshot::Slot { active: false, .. }])
    });
}

/// The start of another role's transaction is hidden. The first later tick shows the least age.
#[test]
fn an_ordinary_role_sees_process_and_user() {
    let (database, mut client) = installed(Kind::Own);
    queues::create(&mut client, "q");
    let mut holder = database.client();
    holder.batch_execute("begin isolation level repeatable read; select from pgq.queue").expect("a snapshot");
    client.batch_execute("select txid_current()").expect("a later transaction");
    queues::tick(&mut client, "q");
    let role = format!("reader_{}", crate::support::unique());
    client.batch_execute(&format!("create role {role}; set role {role}")).expect("set");
    match &*read(&mut client).old_snapshots {
        [OldSnapshot::Transaction(holder)] => {
            assert!(holder.pid.is_some() && holder.user.as_deref() == Some("postgres"), "{holder:?}");
            assert!(holder.age.is_some() && holder.state.is_none(), "{holder:?}");
        }
        others => panic!("{others:?}"),
    }
    client.batch_execute(&format!("reset role; drop role {role}")).expect("dropped");
}
