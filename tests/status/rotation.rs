//! The causes of a delayed rotation are named.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pgq::status::{RotationBlocker, Transaction};
use postgres::NoTls;

use super::*;
use crate::support::server::Server;
use crate::support::{unique, wait_for};

const KINDS: [Kind; 2] = [Kind::Own, Kind::Extension];

/// A transaction holds up the rotations of the whole server, so only one of these tests at a time has some open.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a queue that has been rotated and may be rotated again at any time.
fn rotating(client: &mut Client) {
    queues::create(client, "q");
    client.execute("select pgq.set_queue_config('q', 'rotation_period', '0')", &[]).expect("set");
    rotate(client);
    settle(client);
}

/// Rotates once; other tests' transactions on the server may put it off.
fn rotate(client: &mut Client) {
    let before = table(client);
    wait_for("rotation", || {
        steps(client);
        table(client) != before
    });
}

fn steps(client: &mut Client) {
    client.query_one("select pgq.maint_rotate_tables_step1('q')", &[]).expect("answers");
    client.query_one("select pgq.maint_rotate_tables_step2()", &[]).expect("answers");
}

fn table(client: &mut Client) -> u32 {
    queue(client, "q").rotation.table
}

/// Ticks until all transactions that ran at the last rotation have ended before the tick.
fn settle(client: &mut Client) -> i64 {
    let settled = "select tick_id from pgq.tick join pgq.queue on queue_id = tick_queue \
                   where tick_id = $1 and txid_snapshot_xmin(tick_snapshot) > queue_switch_step2";
    let mut last = 0;
    wait_for("other tests' transactions", || {
        last = queues::tick(client, "q");
        client.query_opt(settled, &[&last]).expect("answers").is_some()
    });
    last
}

fn holders(client: &mut Client) -> Vec<RotationBlocker> {
    queue(client, "q").rotation.held_up_by
}

/// Returns the transaction that is wanted among those that are named, of which other tests may have some.
fn transaction(client: &mut Client, wanted: impl Fn(&Transaction) -> bool) -> Option<Transaction> {
    holders(client).into_iter().find_map(|holder| match holder {
        RotationBlocker::Transaction(transaction) if wanted(&transaction) => Some(transaction),
        _ => None,
    })
}

fn connect(database: &Database, role: &str) -> Client {
    let conninfo = database.conninfo().replace("user=postgres", &format!("user={role}"));
    Client::connect(&format!("{conninfo} application_name=forgotten"), NoTls).expect("connected")
}

fn pid(client: &mut Client) -> i32 {
    client.query_one("select pg_backend_pid()", &[]).expect("answers").get(0)
}

#[test]
fn the_consumers_that_are_behind() {
    let _alone = alone();
    for kind in KINDS {
        let (_database, mut client) = installed(kind);
        rotating(&mut client);
        for name in ["slow", "slower", "quick"] {
            pgq::admin::register_consumer(&mut client, "q", name).expect("registered");
        }
        let stand = queues::tick(&mut client, "q");
        pgq::admin::register_consumer_at(&mut client, "q", "slow", stand).expect("moved");
        rotate(&mut client);
        let last = settle(&mut client);
        pgq::admin::register_consumer_at(&mut client, "q", "quick", last).expect("moved");

        let status = queue(&mut client, "q");
        assert!(status.rotation.is_due);
        let [RotationBlocker::Consumer { name: first, .. }, RotationBlocker::Consumer { name: second, lag }] =
            &status.rotation.held_up_by[..]
        else {
            panic!("{status:?}")
        };
        assert_eq!((first.as_str(), second.as_str()), ("slower", "slow"));
        assert_eq!(Some(*lag), consumer(&status, "slow").lag);
        let marks = ["quick", "slow", "slower"].map(|name| consumer(&status, name).holds_up_rotation);
        assert_eq!(marks, [false, true, true]);
        steps(&mut client);
        assert_eq!(table(&mut client), status.rotation.table, "it is held up indeed");

        for name in ["slow", "slower"] {
            pgq::admin::register_consumer_at(&mut client, "q", name, last).expect("moved");
        }
        assert_eq!(holders(&mut client), []);
        rotate(&mut client);
    }
}

#[test]
fn an_idle_transaction() {
    let _alone = alone();
    for kind in KINDS {
        let (database, mut client) = installed(kind);
        rotating(&mut client);
        pgq::admin::register_consumer(&mut client, "q", "c").expect("registered");
        let [role, other] = ["idler", "unrelated"].map(|role| format!("{role}_{}", unique()));
        client
            .batch_execute(&format!("create role {role} login; create role {other} login"))
            .expect("created");
        let mut idler = connect(&database, &role);
        idler.batch_execute("begin; select txid_current()").expect("begun");
        let pid = pid(&mut idler);
        rotate(&mut client);
        queues::tick(&mut client, "q");

        let is_idler = |transaction: &Transaction| transaction.pid == Some(pid);
        let named = transaction(&mut client, is_idler).expect("named");
        let texts = [&named.user, &named.application, &named.database, &named.state];
        let texts = texts.map(|text| text.as_deref().unwrap_or_default());
        assert_eq!(texts, [role.as_str(), "forgotten", database.name(), "idle in transaction"]);
        assert!(named.age.is_some() && named.prepared.is_none());
        let start = format!("transaction of process {pid} (application `forgotten`, user `{role}`, database");
        assert!(named.to_string().starts_with(&start), "{named}");
        let before = table(&mut client);
        steps(&mut client);
        assert_eq!(table(&mut client), before, "it is held up indeed");

        let mut unrelated = connect(&database, &other);
        let hidden = transaction(&mut unrelated, is_idler).expect("named");
        assert_eq!((hidden.pid, hidden.user.as_deref()), (Some(pid), Some(role.as_str())));
        assert_eq!((hidden.state, hidden.age), (None, None));

        idler.batch_execute("commit").expect("committed");
        assert_eq!(transaction(&mut client, is_idler), None);
        drop((idler, unrelated));
        client.batch_execute(&format!("drop role {role}; drop role {other}")).expect("dropped");
    }
}

#[test]
fn a_transaction_with_subtransactions_is_named_once() {
    let _alone = alone();
    let (database, mut client) = installed(Kind::Own);
    rotating(&mut client);
    let mut idler = connect(&database, "postgres");
    idler
        .batch_execute("begin; savepoint s; select txid_current(); savepoint t; create table t ()")
        .expect("begun");
    let pid = pid(&mut idler);
    rotate(&mut client);
    let named = transaction(&mut client, |transaction| transaction.pid == Some(pid)).expect("named");
    assert_eq!(named.state.as_deref(), Some("idle in transaction"));
    let same = |holder: &&RotationBlocker| matches!(holder, RotationBlocker::Transaction(other) if other.pid == Some(pid));
    assert_eq!(holders(&mut client).iter().filter(same).count(), 1);
}

#[test]
fn a_prepared_transaction() {
    let server = Server::builder().with_pgq().setting("max_prepared_transactions", "5");
    let server = server.start().unwrap_or_else(|error| panic!("{error}"));
    for (kind, name) in [(Kind::Own, "own"), (Kind::Extension, "extension")] {
        server.create_database(name);
        let mut client = server.client(name);
        queues::install_as(&mut client, kind);
        rotating(&mut client);
        pgq::admin::register_consumer(&mut client, "q", "c").expect("registered");
        let old = format!("two phases of {name}");
        client
            .batch_execute(&format!("begin; select txid_current(); prepare transaction '{old}'"))
            .expect("prepared");
        rotate(&mut client);
        queues::tick(&mut client, "q");
        let [RotationBlocker::Consumer { .. }, RotationBlocker::Transaction(named)] =
            &holders(&mut client)[..]
        else {
            panic!()
        };
        assert_eq!((named.pid, named.prepared.as_ref()), (None, Some(&old)));
        let texts = [&named.user, &named.database].map(|text| text.as_deref().unwrap_or_default());
        assert_eq!(texts, ["postgres", name]);
        assert!(named.age.is_some());
        assert!(named.to_string().starts_with(&format!("prepared transaction `{old}` (user `postgres`")));
        client.batch_execute(&format!("rollback prepared '{old}'")).expect("rolled back");
        let last = settle(&mut client);
        pgq::admin::register_consumer_at(&mut client, "q", "c", last).expect("moved");
        assert_eq!(holders(&mut client), []);

        let next = next_table(&mut client);
        let lock = format!("begin; lock table {next} in access share mode; prepare transaction '{old}'");
        client.batch_execute(&lock).expect("prepared");
        let [RotationBlocker::Lock { table, transaction }] = &holders(&mut client)[..] else { panic!() };
        assert_eq!((table, transaction.prepared.as_ref()), (&next, Some(&old)));
        client.batch_execute(&format!("rollback prepared '{old}'")).expect("rolled back");
        assert_eq!(holders(&mut client), []);
    }
}

#[test]
fn a_consumer_and_a_transaction() {
    let _alone = alone();
    for kind in KINDS {
        let (database, mut client) = installed(kind);
        rotating(&mut client);
        for name in ["late", "present"] {
            pgq::admin::register_consumer(&mut client, "q", name).expect("registered");
        }
        let mut idler = connect(&database, "postgres");
        idler.batch_execute("begin; select txid_current()").expect("begun");
        let pid = pid(&mut idler);
        rotate(&mut client);
        let last = queues::tick(&mut client, "q");
        pgq::admin::register_consumer_at(&mut client, "q", "present", last).expect("moved");
        let status = queue(&mut client, "q");
        let [RotationBlocker::Consumer { name, .. }, others @ ..] = &status.rotation.held_up_by[..] else {
            panic!("{status:?}")
        };
        assert_eq!(name, "late");
        let is_idler = |holder: &RotationBlocker| matches!(holder, RotationBlocker::Transaction(other) if other.pid == Some(pid));
        assert!(others.iter().any(is_idler), "{status:?}");
        let marks = ["late", "present"].map(|name| consumer(&status, name).holds_up_rotation);
        assert_eq!(marks, [true, false]);

        pgq::admin::register_consumer_at(&mut client, "q", "late", last).expect("moved");
        assert!(holders(&mut client).iter().all(|holder| matches!(holder, RotationBlocker::Transaction(_))));
    }
}

/// A standby has the ids of the primary's transactions, and locks of its own.
#[test]
fn on_a_standby() {
    let primary = Server::builder().with_pgq().start().unwrap_or_else(|error| panic!("{error}"));
    for (kind, name) in [(Kind::Own, "own"), (Kind::Extension, "extension")] {
        primary.create_database(name);
        queues::install_as(&mut primary.client(name), kind);
    }
    let standby = primary.start_standby().unwrap_or_else(|error| panic!("{error}"));
    for name in ["own", "extension"] {
        let (mut client, mut copy) = (primary.client(name), standby.client(name));
        rotating(&mut client);
        pgq::admin::register_consumer(&mut client, "q", "c").expect("registered");
        let mut idler = primary.client(name);
        idler.batch_execute("begin; select txid_current()").expect("begun");
        rotate(&mut client);
        let tick = queues::tick(&mut client, "q");
        pgq::admin::register_consumer_at(&mut client, "q", "c", tick).expect("moved");
        follow(&mut client, &mut copy);
        assert_eq!(holders(&mut copy), [RotationBlocker::Transaction(Transaction::default())]);
        assert_eq!(holders(&mut copy)[0].to_string(), "a transaction");

        idler.batch_execute("commit").expect("committed");
        follow(&mut client, &mut copy);
        assert_eq!(holders(&mut copy), [RotationBlocker::Ticker]);
        let last = settle(&mut client);
        follow(&mut client, &mut copy);
        let [RotationBlocker::Consumer { name: late, .. }] = &holders(&mut copy)[..] else { panic!() };
        assert_eq!(late, "c");

        pgq::admin::register_consumer_at(&mut client, "q", "c", last).expect("moved");
        follow(&mut client, &mut copy);
        let next = next_table(&mut client);
        let mut reader = standby.client(name);
        reader.batch_execute(&format!("begin; select from {next}")).expect("read");
        assert_eq!(holders(&mut copy), [], "a lock here holds up nothing there");
    }
}

/// Waits until a standby has all that was done up to now.
fn follow(primary: &mut Client, standby: &mut Client) {
    let now: String =
        primary.query_one("select pg_current_wal_insert_lsn()::text", &[]).expect("answers").get(0);
    let replayed = format!("select pg_last_wal_replay_lsn() >= '{now}'::pg_lsn");
    wait_for("the standby", || standby.query_one(&replayed, &[]).expect("answers").get(0));
}

/// Returns the name of the table that the next rotation empties.
fn next_table(client: &mut Client) -> String {
    let rotation = queue(client, "q").rotation;
    format!("pgq.event_1_{}", (rotation.table + 1) % rotation.tables)
}

#[test]
fn a_lock_on_the_table() {
    let _alone = alone();
    for kind in KINDS {
        let (database, mut client) = installed(kind);
        rotating(&mut client);
        assert_eq!(holders(&mut client), []);
        let next = next_table(&mut client);
        let mut reader = connect(&database, "postgres");
        reader
            .batch_execute(&format!("begin; select from {next}; select from {next} for share"))
            .expect("read");
        let [RotationBlocker::Lock { table: locked, transaction }] = &holders(&mut client)[..] else {
            panic!()
        };
        assert_eq!((locked, transaction.pid), (&next, Some(pid(&mut reader))));
        assert_eq!(transaction.application.as_deref(), Some("forgotten"));
        let before = table(&mut client);
        steps(&mut client);
        assert_eq!(table(&mut client), before, "it is held up indeed");
        reader.batch_execute("commit").expect("committed");
        assert_eq!(holders(&mut client), []);
    }
}

#[test]
fn a_missing_tick_and_a_missing_second_step() {
    let _alone = alone();
    for kind in KINDS {
        let (_database, mut client) = installed(kind);
        rotating(&mut client);
        pgq::admin::register_consumer(&mut client, "q", "c").expect("registered");
        rotate(&mut client);
        wait_for("other tests' transactions", || holders(&mut client) == [RotationBlocker::Ticker]);
        let last = settle(&mut client);
        pgq::admin::register_consumer_at(&mut client, "q", "c", last).expect("moved");
        client.query_one("select pgq.maint_rotate_tables_step1('q')", &[]).expect("answers");
        assert_eq!(holders(&mut client), [RotationBlocker::Maintenance]);
        steps(&mut client);
        assert!(!holders(&mut client).contains(&RotationBlocker::Maintenance));
    }
}

/// The extension does not wait for transactions then.
#[test]
fn a_transaction_without_consumers() {
    let _alone = alone();
    for kind in KINDS {
        let (database, mut client) = installed(kind);
        rotating(&mut client);
        let mut idler = connect(&database, "postgres");
        idler.batch_execute("begin; select txid_current()").expect("begun");
        let pid = pid(&mut idler);
        rotate(&mut client);
        queues::tick(&mut client, "q");
        let named = transaction(&mut client, |transaction| transaction.pid == Some(pid));
        assert_eq!(named.is_some(), kind == Kind::Own);
        let before = table(&mut client);
        steps(&mut client);
        assert_eq!(table(&mut client) == before, kind == Kind::Own);
    }
}

#[test]
fn a_rotation_that_is_not_due_is_held_up_by_nobody() {
    let _alone = alone();
    let (_database, mut client) = installed(Kind::Own);
    rotating(&mut client);
    pgq::admin::register_consumer(&mut client, "q", "c").expect("registered");
    rotate(&mut client);
    settle(&mut client);
    assert_eq!(holders(&mut client).len(), 1);
    client.execute("select pgq.set_queue_config('q', 'rotation_period', '1 hour')", &[]).expect("set");
    let status = queue(&mut client, "q");
    assert!(!status.rotation.is_due && status.rotation.held_up_by.is_empty());
    assert!(!consumer(&status, "c").holds_up_rotation);
}
