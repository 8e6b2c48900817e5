//! Installing the own schema: again, twice at once, without rights, over something else.

use std::thread;

use pgq::schema::{self, Kind, SchemaChange};
use postgres::error::SqlState;
use postgres::{Client, NoTls};

use crate::support::programs::{command, errors, succeed};
use crate::support::server::Server;
use crate::support::{Database, queues, templates, unique};

fn bool_of(client: &mut Client, select: &str) -> bool {
    client.query_one(select, &[]).unwrap_or_else(|error| panic!("{select}: {error:?}")).get(0)
}

#[test]
fn installing_twice_changes_nothing() {
    let database = Database::create("own");
    let mut client = database.client();
    let report = queues::install_as(&mut client, Kind::Own);
    assert_eq!((report.kind, report.change, report.roles), (Kind::Own, SchemaChange::Installed, true));
    client
        .batch_execute("select pgq.create_queue('q'); select pgq.insert_event('q', 'a', 'b')")
        .expect("used");
    let xmin = "select max(xmin::text::int8)::text from pg_proc where pronamespace = 'pgq'::regnamespace";
    let before: String = client.query_one(xmin, &[]).expect("readable").get(0);
    for wanted in [None, Some(Kind::Own)] {
        let report = schema::install_as(&mut client, wanted).expect("installed again");
        assert_eq!((report.kind, report.change), (Kind::Own, SchemaChange::Unchanged));
    }
    assert_eq!(client.query_one(xmin, &[]).expect("readable").get::<_, String>(0), before);
    assert_eq!(queues::count(&mut client, "q"), 1);
}

#[test]
fn an_older_release_is_brought_up_to_date_with_its_events() {
    let (_database, mut client) = templates::installed(Kind::Own, "own");
    client
        .batch_execute(
            "select pgq.create_queue('q'); select pgq.register_consumer('q', 'c'); \
             select pgq.insert_event('q', 'a', 'b'); \
             create or replace function pgq.version() returns text language plpgsql as $$ begin return '0'; end $$; \
             drop function pgq.next_batch(text, text); \
             comment on schema pgq is 'PgQ in SQL, release 1, 0123456789abcdef'",
        )
        .expect("aged");
    let report = schema::install_as(&mut client, None).expect("updated");
    assert_eq!((report.kind, report.change), (Kind::Own, SchemaChange::Updated));
    assert!(bool_of(&mut client, "select pgq.version() = '3.5'"));
    client.batch_execute("select pgq.force_tick('q'), pgq.ticker('q')").expect("ticks");
    assert!(bool_of(&mut client, "select count(*) = 1 from pgq.get_batch_events(pgq.next_batch('q', 'c'))"));
    client
        .batch_execute("comment on schema pgq is 'PgQ in SQL, release 99, 0123456789abcdef'")
        .expect("newer");
    let error = schema::install_as(&mut client, None).expect_err("newer");
    assert!(error.to_string().contains("newer release"), "{error}");
}

/// The helpers of the triggers and their types are replaced while a session has them in its plans.
#[test]
fn triggers_continue_after_an_update() {
    let (database, mut client) = templates::installed(Kind::Own, "own");
    client
        .batch_execute(
            "select pgq.create_queue('q'); create table t (id int primary key); \
             create trigger x after insert on t for each row execute function pgq.logutriga('q'); \
             insert into t values (1); \
             alter type pgq.tg_facts rename attribute names to names_before; \
             create function pgq.tg_before(pgq.tg_facts) returns int language sql as 'select 1'; \
             comment on schema pgq is 'PgQ in SQL, release 1, 0123456789abcdef'",
        )
        .expect("aged");
    schema::install_as(&mut database.client(), None).expect("updated");
    client.batch_execute("insert into t values (2)").expect("the trigger still fires");
    assert_eq!(
        queues::events(&mut client, "q").iter().map(|event| event[1].as_deref()).collect::<Vec<_>>(),
        [Some("id=1"), Some("id=2")]
    );
    assert!(bool_of(&mut client, "select to_regproc('pgq.tg_before') is null"));
}

#[test]
fn two_installations_at_once_both_succeed() {
    let database = Database::create("own");
    thread::scope(|scope| {
        let install =
            || schema::install_as(&mut database.client(), Some(Kind::Own)).expect("installed").change;
        let threads = [scope.spawn(install), scope.spawn(install)];
        let changes = threads.map(|thread| thread.join().expect("no panic"));
        assert!(
            changes.contains(&SchemaChange::Installed) && changes.contains(&SchemaChange::Unchanged),
            "{changes:?}"
        );
    });
}

#[test]
fn sessions_that_run_the_script_at_once_all_succeed() {
    for _ in 0..3 {
        let database = Database::create("own");
        thread::scope(|scope| {
            let run = || {
                let mut client = database.client();
                let mut transaction = client.transaction().expect("begin");
                transaction.batch_execute(&schema::sql()).unwrap_or_else(|error| panic!("{error:?}"));
                transaction.commit().expect("committed");
            };
            let threads = [(); 4].map(|()| scope.spawn(run));
            threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
        });
        let mut client = database.client();
        assert_eq!(schema::install_as(&mut client, None).expect("installed").change, SchemaChange::Unchanged);
    }
}

#[test]
fn neither_schema_replaces_the_other_or_a_foreign_one() {
    let (_database, mut client) = templates::installed(Kind::Own, "own");
    let error = schema::install_as(&mut client, Some(Kind::Extension)).expect_err("taken");
    assert!(error.to_string().contains("uninstall"), "{error}");

    let (_database, mut client) = templates::installed(Kind::Extension, "own");
    let error = schema::install_as(&mut client, Some(Kind::Own)).expect_err("taken");
    assert!(error.to_string().contains("uninstall"), "{error}");
    assert_eq!(schema::install_as(&mut client, None).expect("fine").change, SchemaChange::Unchanged);

    let database = Database::create("own");
    let mut client = database.client();
    client.batch_execute("create schema pgq; create table pgq.notes (note text)").expect("created");
    let error = schema::install_as(&mut client, None).expect_err("taken");
    assert!(error.to_string().contains("neither the extension nor this program"), "{error}");
    assert!(bool_of(
        &mut client,
        "select count(*) = 1 from pg_class where relnamespace = 'pgq'::regnamespace and relkind = 'r'"
    ));
}

#[test]
fn a_role_that_is_no_superuser_installs_it_and_uses_it() {
    let database = Database::create("own");
    let mut client = database.client();
    let role = format!("owner_{}", unique());
    client
        .batch_execute(&format!(
            "create role {role}; grant create on database {} to {role}; set role {role}",
            database.name()
        ))
        .expect("granted");
    let report = schema::install_as(&mut client, None).expect("installed");
    assert_eq!((report.kind, report.change), (Kind::Own, SchemaChange::Installed));
    client
        .batch_execute(
            "select pgq.create_queue('q'); select pgq.register_consumer('q', 'c'); \
             select pgq.insert_event('q', 'a', 'b'), pgq.force_tick('q')",
        )
        .expect("used");
    client.batch_execute("select pgq.ticker()").expect("ticks");
    assert!(bool_of(&mut client, "select count(*) = 1 from pgq.get_batch_events(pgq.next_batch('q', 'c'))"));
    client.batch_execute("select pgq.maint_rotate_tables_step1('q')").expect("maintained");
    client
        .batch_execute("select pgq.maint_rotate_tables_step2(); select pgq.drop_queue('q', true)")
        .expect("dropped");
}

#[test]
fn where_roles_may_not_be_created_the_grants_to_them_are_left_out() {
    let server = Server::start().expect("a server");
    let mut superuser = server.client("postgres");
    for statement in
        ["create role tenant login; create role unrelated login", "create database tenant owner tenant"]
    {
        superuser.batch_execute(statement).expect("created");
    }
    let connect = |user: &str| {
        let conninfo = server.conninfo("tenant").replace("user=postgres", &format!("user={user}"));
        Client::connect(&conninfo, NoTls).expect("connected")
    };
    let mut tenant = connect("tenant");
    let report = schema::install_as(&mut tenant, None).expect("installed");
    assert_eq!((report.kind, report.change, report.roles), (Kind::Own, SchemaChange::Installed, false));
    assert!(report.to_string().contains("may not be created"), "{report}");
    tenant.batch_execute("select pgq.create_queue('q'), pgq.insert_event('q', 'a', 'b')").expect("used");
    assert!(bool_of(
        &mut tenant,
        "select count(*) = 0 from pg_roles where rolname in ('pgq_reader', 'pgq_admin')"
    ));
    let mut unrelated = connect("unrelated");
    assert!(bool_of(&mut unrelated, "select count(*) = 1 from pgq.get_queue_info()"));
    let denied = unrelated.batch_execute("select pgq.insert_event('q', 'a', 'b')").expect_err("denied");
    assert_eq!(denied.code().map(SqlState::code), Some("42501"), "{denied:?}");

    superuser
        .batch_execute("create role pgq_reader; create role pgq_writer; create role pgq_admin")
        .expect("created");
    let report = schema::install_as(&mut tenant, None).expect("installed again");
    assert_eq!((report.change, report.roles), (SchemaChange::Updated, true));
    superuser.batch_execute("grant pgq_reader, pgq_writer to unrelated").expect("granted");
    unrelated.batch_execute("select pgq.insert_event('q', 'a', 'b')").expect("may insert now");
    assert!(bool_of(&mut unrelated, "select count(*) = 2 from pgq.event_1"));
    assert_eq!(schema::install_as(&mut tenant, None).expect("once more").change, SchemaChange::Unchanged);
}

/// A role that may create roles but is no superuser: common on managed servers, and different before and after 16.
#[test]
fn a_role_that_creates_roles_installs_with_all_grants() {
    let server = Server::start().expect("a server");
    let mut superuser = server.client("postgres");
    for statement in ["create role tenant login createrole", "create database tenant owner tenant"] {
        superuser.batch_execute(statement).expect("created");
    }
    let conninfo = server.conninfo("tenant").replace("user=postgres", "user=tenant");
    let mut tenant = Client::connect(&conninfo, NoTls).expect("connected");
    let report = schema::install_as(&mut tenant, None).expect("installed");
    assert!(report.roles, "{report}");
    tenant
        .batch_execute("select pgq.create_queue('q'); create role worker login; grant pgq_admin to worker")
        .expect("used");
    let conninfo = server.conninfo("tenant").replace("user=postgres", "user=worker");
    let mut worker = Client::connect(&conninfo, NoTls).expect("connected");
    worker
        .batch_execute(
            "select pgq.create_queue('p'), pgq.insert_event('q', 'a', 'b'), pgq.register_consumer('q', 'c')",
        )
        .expect("an administrator reads and writes too");
}

#[test]
fn the_printed_script_installs_with_psql() {
    let database = Database::create("own");
    let folder = tempfile::tempdir().expect("a folder");
    let ini = format!("[pgqadm]\ndb = dbname={}\n", database.name());
    std::fs::write(folder.path().join("x.ini"), ini).expect("writable");
    let pgqadm = |arguments: &[&str]| {
        let mut command = command("pgqadm", folder.path());
        command.arg("x.ini").args(arguments);
        command
    };
    let printed = succeed(&mut pgqadm(&["install", "pgq", "--print"]));
    let mut client = database.client();
    assert!(!schema::is_installed(&mut client).expect("answers"));
    client.batch_execute(&String::from_utf8(printed.stdout).expect("text")).expect("installs");
    let again = succeed(&mut pgqadm(&["install", "pgq", "--schema", "own"]));
    assert!(errors(&again).contains("schema pgq: already installed, own schema"), "{}", errors(&again));
    let printed_again = succeed(&mut pgqadm(&["install", "pgq", "--print"])).stdout;
    let script = String::from_utf8(printed_again).expect("text");
    client.batch_execute(&script).expect("installs over itself");
    let mut other = Database::create_with_extension("own");
    let mut client = other.client();
    queues::install_as(&mut client, Kind::Extension);
    let error = client.batch_execute(&script).expect_err("the extension is there");
    assert!(
        error.as_db_error().is_some_and(|error| error.message().contains("the extension pgq")),
        "{error:?}"
    );
    other = Database::create("own");
    let mut client = other.client();
    client.batch_execute("create schema pgq; create table pgq.notes (note text)").expect("created");
    let error = client.batch_execute(&script).expect_err("a foreign schema");
    assert!(error.as_db_error().is_some_and(|error| error.message().contains("neither")), "{error:?}");
    let refused = pgqadm(&["install", "--schema", "extension"]).output().expect("runs");
    assert_eq!(refused.status.code(), Some(1));
    let wrong = pgqadm(&["install", "--schema", "other"]).output().expect("runs");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(errors(&wrong).contains("unknown schema `other`"), "{}", errors(&wrong));
}
