//! Connections with a fixed search path, directly and behind a pooler that refuses to set it.

use dbscript::{Control, Databases};

use crate::support::pgbouncer::PgBouncer;
use crate::support::{Database, shared};

/// Returns the search path of a new connection.
fn path(databases: &mut Databases) -> String {
    databases.reset();
    let mut connection = databases.get("db").expect("connected");
    let select = "select pg_catalog.current_setting('search_path')";
    connection.query_typed_one(select, &[]).expect("an answer").get(0)
}

#[test]
fn the_path_is_that_of_the_connection_alone() {
    let database = Database::create("pinned");
    let mut databases = Databases::new("test", Control::default());
    databases.set("db", &format!("{} options='-c work_mem=5MB -c search_path=public'", database.conninfo()));
    assert_eq!(path(&mut databases), "public");
    databases.pin_search_path();
    assert_eq!(path(&mut databases), "pg_catalog");
    let mut connection = databases.get("db").expect("connected");
    let select = "select pg_catalog.current_setting('work_mem')";
    let given: String = connection.query_typed_one(select, &[]).expect("an answer").get(0);
    assert_eq!(given, "5MB");
}

#[test]
fn behind_a_pooler_that_refuses_the_option_sessions_keep_theirs() {
    let database = Database::create("pinned");
    let bouncer = PgBouncer::start(shared(), 2);
    let mut databases = Databases::new("test", Control::default());
    databases.set("db", &bouncer.conninfo(database.name()));
    databases.pin_search_path();
    for _ in 0..2 {
        assert_eq!(path(&mut databases), "\"$user\", public");
    }
    let mut client = database.client();
    let alter =
        format!("create schema evil; alter database {} set search_path = evil, pg_catalog", database.name());
    client.batch_execute(&alter).expect("set");
    let sessions = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
    client.execute(sessions, &[]).expect("ended");
    crate::support::wait_for("a session with the path", || {
        databases.reset();
        let refused = databases.get("db").err().map(|error| dbscript::describe(&error));
        refused.is_some_and(|error| error.contains("schema `evil` comes before `pg_catalog`"))
    });
}
