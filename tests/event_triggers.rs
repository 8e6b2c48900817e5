//! Administrators' event triggers that name a table without its schema.

use pgq::schema::Kind;
use postgres::Client;

use crate::support::Database;
use crate::support::programs::{command_on, succeed};

fn count(client: &mut Client, tag: &str) -> i64 {
    client
        .query_one("select count(*) from public.ddl_log where tag like $1", &[&tag])
        .expect("a count")
        .get(0)
}

/// Makes a database with an event trigger that logs into a table, and the folder of a program's file for it.
fn prepare(kind: Kind) -> (Database, Client, tempfile::TempDir) {
    let database = Database::create_for(kind, "event_triggers");
    let mut client = database.client();
    client
        .batch_execute(
            "create table public.ddl_log (tag text); \
             create function public.log_ddl() returns event_trigger language plpgsql as \
                 $$ begin insert into ddl_log values (tg_tag); end $$; \
             create event trigger log_end on ddl_command_end execute function public.log_ddl(); \
             create event trigger log_drop on sql_drop execute function public.log_ddl()",
        )
        .expect("prepared");
    let folder = tempfile::tempdir().expect("a folder");
    let ini = format!("[pgqadm]\njob_name = events\ndb = {}\n", database.conninfo());
    std::fs::write(folder.path().join("x.ini"), ini).expect("written");
    (database, client, folder)
}

#[test]
fn queues_of_the_own_schema_are_created_and_dropped_with_them() {
    let (database, mut client, folder) = prepare(Kind::Own);
    let pgqadm = |arguments: &[&str]| {
        succeed(command_on(database.server(), "pgqadm", folder.path()).arg("x.ini").args(arguments));
    };
    pgqadm(&["install", "--schema", "own"]);
    let installed = count(&mut client, "%");
    pgqadm(&["create", "x"]);
    assert!(count(&mut client, "CREATE TABLE") > 0 && count(&mut client, "%") > installed);
    pgqadm(&["drop", "x", "--force"]);
    assert!(count(&mut client, "DROP TABLE") > 0);
    // The result does not depend on the search path of the caller either.
    client.batch_execute("set search_path = pg_catalog; select pgq.create_queue('y')").expect("created");
    client.batch_execute("select pgq.drop_queue('y', true)").expect("dropped");
    pgqadm(&["uninstall", "--force"]);
    assert!(count(&mut client, "DROP SCHEMA") > 0);
}

#[test]
fn queues_of_the_extension_are_created_and_dropped_with_them() {
    let (database, mut client, folder) = prepare(Kind::Extension);
    let pgqadm = |arguments: &[&str]| {
        succeed(command_on(database.server(), "pgqadm", folder.path()).arg("x.ini").args(arguments));
    };
    // The extension's own script runs under a path that PostgreSQL sets.
    client.batch_execute("alter event trigger log_end disable").expect("disabled");
    pgqadm(&["install", "--schema", "extension"]);
    client.batch_execute("alter event trigger log_end enable").expect("enabled");
    pgqadm(&["create", "x"]);
    pgqadm(&["drop", "x", "--force"]);
    assert!(count(&mut client, "CREATE TABLE") > 0 && count(&mut client, "DROP TABLE") > 0);
}

/// The table belongs to the trap: the creator of a queue must not choose the table that the trigger writes to.
#[test]
fn the_callers_path_and_temporary_tables_are_not_theirs() {
    let (_database, mut client, _folder) = prepare(Kind::Own);
    pgq::schema::install_as(&mut client, Some(Kind::Own)).expect("installed");
    let before = count(&mut client, "%");
    client
        .batch_execute(
            "create schema trap; create table trap.ddl_log (tag text); \
             create temporary table ddl_log (tag text); set search_path = trap, pg_temp, public",
        )
        .expect("trapped");
    let own = count(&mut client, "%");
    client.batch_execute("select pgq.create_queue('x'); select pgq.drop_queue('x')").expect("created");
    let trapped = "select (select count(*) from trap.ddl_log) + (select count(*) from pg_temp.ddl_log)";
    let mine: i64 = client.query_one(trapped, &[]).expect("a count").get(0);
    assert!(count(&mut client, "%") > own && own >= before);
    // The session's own statements find its own tables, so the first one counts the `create` above.
    client.batch_execute("select pgq.create_queue('x'); select pgq.drop_queue('x')").expect("again");
    assert_eq!(client.query_one(trapped, &[]).expect("a count").get::<_, i64>(0), mine);
}
