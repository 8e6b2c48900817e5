//! The roles of a cluster, which two of its databases create at once.

use std::thread;

use pgq::schema::{self, Kind};

use crate::support::server::Server;
use crate::support::{builder_with_extension, wait_for};

/// Makes two installations wait for a session that creates the first role, and then commits or rolls back.
fn meet(kind: Kind, end: &str) {
    let builder = match kind {
        Kind::Own => Server::builder(),
        Kind::Extension => builder_with_extension(),
    };
    let server = builder.start().unwrap_or_else(|error| panic!("{error}"));
    for name in ["a", "b"] {
        server.create_database(name);
    }
    let mut first = server.client("postgres");
    first.batch_execute("begin; create role pgq_reader").expect("created");
    thread::scope(|scope| {
        let install = |name: &'static str| {
            let mut client = server.client(name);
            scope.spawn(move || schema::install_as(&mut client, Some(kind)))
        };
        let threads = [install("a"), install("b")];
        let waiting = "select count(*) = 2 from pg_locks where not granted";
        let mut watcher = server.client("postgres");
        wait_for("both to wait", || watcher.query_one(waiting, &[]).expect("answers").get(0));
        first.batch_execute(end).expect("ended");
        for thread in threads {
            let report = thread.join().expect("no panic").expect("installed");
            assert!(report.roles, "{kind}, {end}: {report}");
        }
    });
    let member = "select pg_has_role('pgq_admin', 'pgq_reader', 'member') and pg_has_role('pgq_admin', 'pgq_writer', 'member')";
    assert!(first.query_one(member, &[]).expect("answers").get::<_, bool>(0));
    for name in ["a", "b"] {
        let mut client = server.client(name);
        client.batch_execute("set role pgq_admin; select pgq.create_queue('q')").expect("granted");
    }
}

#[test]
fn two_databases_of_a_fresh_cluster_are_installed_at_once() {
    for end in ["commit", "rollback"] {
        meet(Kind::Own, end);
    }
}

#[test]
fn two_extensions_of_a_fresh_cluster_are_created_at_once() {
    meet(Kind::Extension, "rollback");
}
