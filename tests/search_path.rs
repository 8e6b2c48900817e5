//! Functions and operators of others that would fit a statement better than the catalogue's.

mod lint;
mod operators;
mod pinned;
mod schemas;
mod traps;

use std::process::Stdio;

use pgq::schema::Kind;
use postgres::Client;

use crate::support::programs::{Running, command_on, succeed};
use crate::support::{Database, templates, unique, wait_for};

/// Returns the roles that have run a trap, and the trap of each.
fn caught(client: &mut Client) -> String {
    let select = "select coalesce(string_agg(distinct who || ' ' || what, ', '), '') from public.caught";
    client.query_one(select, &[]).expect("an answer").get(0)
}

/// Installs PgQ and uses it with every program's kind of statements.
fn use_everything(database: &Database, kind: Kind) {
    let folder = tempfile::tempdir().expect("a folder");
    let ini = format!(
        "[pgqadm]\njob_name = a\ndb = {0}\nloop_delay = 0.05\nmaint_delay = 1\n\
         [queue_mover]\njob_name = m\nsrc_db = {0}\ndst_db = {0}\npgq_queue_name = q\ndst_queue_name = r\nloop_delay = -1\n",
        database.conninfo()
    );
    std::fs::write(folder.path().join("x.ini"), ini).expect("written");
    let command = |program: &str, arguments: &[&str]| {
        let mut command = command_on(database.server(), program, folder.path());
        command.arg("x.ini").args(arguments);
        command
    };
    let pgqadm = |arguments: &[&str]| drop(succeed(&mut command("pgqadm", arguments)));
    pgqadm(&["install", "--schema", if kind == Kind::Own { "own" } else { "extension" }]);
    pgqadm(&["create", "q", "r"]);
    pgqadm(&["register", "q", "c"]);
    pgqadm(&["config", "q", "rotation_period=1s", "ticker_max_lag=0.1s"]);
    let mover = command("queue_mover", &["--register"]).output().expect("it runs");
    assert!(mover.status.success(), "{}", String::from_utf8_lossy(&mover.stderr));
    let mut client = database.client();
    client.batch_execute("set search_path = pg_catalog").expect("set");
    let mut ticker = Running::start_with(&mut command("pgqadm", &["ticker"]), Stdio::null());
    client.batch_execute("select pgq.insert_event('q', 'type', 'data')").expect("inserted");
    let moved = "select exists (select from pgq.event_template where ev_data = 'data') \
         and (select count(*) from pgq.event_template) > 1";
    wait_for("the event to be moved", || {
        succeed(&mut command("queue_mover", &[]));
        client.query_one(moved, &[]).expect("an answer").get(0)
    });
    pgqadm(&["status"]);
    drop(command("pgqadm", &["check"]).output().expect("it runs"));
    pgqadm(&["failed", "count", "q", "c"]);
    pgqadm(&["unregister", "q", "c", "--force"]);
    ticker.kill();
    pgqadm(&["drop", "q", "--force"]);
    pgqadm(&["uninstall", "--force"]);
}

fn better_matches_are_not_taken(kind: Kind) {
    let database = Database::create_for(kind, "traps");
    let mut client = database.client();
    let role = format!("trapper_{}", unique());
    client
        .batch_execute(&format!("create role {role}; grant create on schema public to {role}"))
        .expect("allowed");
    traps::set(&mut client, &role, "public");
    use_everything(&database, kind);
    assert_eq!(caught(&mut client), "");
    // The traps do work.
    client.batch_execute("select hashtextextended('x', 0)").expect("an answer");
    assert_ne!(caught(&mut client), "");
}

#[test]
fn better_matches_are_not_taken_on_the_own_schema() {
    better_matches_are_not_taken(Kind::Own);
}

#[test]
fn better_matches_are_not_taken_on_the_extension() {
    better_matches_are_not_taken(Kind::Extension);
}

/// Makes a database whose search path has a schema with traps before the catalogue, as the owner of a database may set it.
fn database_of_traps() -> (Database, Client) {
    let database = Database::create("traps");
    let mut client = database.client();
    let role = format!("trapper_{}", unique());
    client
        .batch_execute(&format!(
            "create role {role}; grant all on schema public to {role}; create schema evil authorization {role}"
        ))
        .expect("allowed");
    traps::set(&mut client, &role, "evil");
    traps::hide_catalogue(&mut client, &role);
    client
        .batch_execute(&format!("alter database {} set search_path = evil, pg_catalog", database.name()))
        .expect("set");
    (database, client)
}

#[test]
fn a_schema_before_the_catalogue_is_not_searched() {
    let (database, mut client) = database_of_traps();
    use_everything(&database, Kind::Own);
    assert_eq!(caught(&mut client), "");

    // Handlers use the session's path, which must not have such a schema.
    client.batch_execute("set search_path = pg_catalog").expect("set");
    pgq::schema::install_as(&mut client, Some(Kind::Own)).expect("installed");
    pgq::admin::create_queue(&mut client, "q").expect("created");
    let worker =
        pgq::Worker::new(&database.conninfo(), "q", "c").spawn(pgq::Router::new(pgq::consume::Unknown::Skip));
    let error = worker.err().map(|error| dbscript::describe(&error)).unwrap_or_default();
    assert!(error.contains("schema `evil` comes before `pg_catalog`"), "{error}");
    assert_eq!(caught(&mut client), "");
}

/// Functions that run for each event name everything in full instead. A procedure that commits cannot have a path, and sets
/// it in each transaction. No other can be called under a foreign search path.
#[test]
fn functions_set_their_search_path() {
    let (_database, mut client) = templates::installed_whole(Kind::Own, "paths");
    let select = "select coalesce(string_agg(oid::regprocedure::text, ', ' order by oid::regprocedure::text), '') from pg_proc \
         where pronamespace = any ('{pgq,pgq_coop,pgq_ext}'::regnamespace[]) and proname !~ '^tg_|triga$' \
         and coalesce(array_to_string(proconfig, ' '), '') !~ 'search_path=pg_catalog,.*pg_temp'";
    let open: String = client.query_one(select, &[]).expect("an answer").get(0);
    assert_eq!(
        open,
        "pgq.get_batch_cursor(bigint,text,integer), pgq.get_batch_cursor(bigint,text,integer,text), \
         pgq.insert_event(text,text,text), pgq.insert_event_raw(text,bigint,timestamp with time zone,integer,integer,\
         text,text,text,text,text,text), pgq.run_ticker(interval,interval)"
    );
}
