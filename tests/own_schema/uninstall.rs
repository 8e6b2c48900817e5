//! Removing PgQ, and the schemas next to it.

use std::path::Path;
use std::process::{Command, Stdio};

use pgq::schema::{self, Kind, SchemaChange};
use postgres::Client;

use crate::support::programs::{command, errors, succeed};
use crate::support::{Database, queues, unique};

fn pgqadm(database: &Database, folder: &Path, arguments: &[&str]) -> Command {
    let ini = format!("[pgqadm]\ndb = {}\n", database.conninfo());
    std::fs::write(folder.join("x.ini"), ini).expect("writable");
    let mut command = command("pgqadm", folder);
    command.arg("x.ini").args(arguments);
    command
}

#[test]
fn nothing_is_removed_without_confirmation() {
    let folder = tempfile::tempdir().expect("a folder");
    for kind in [Kind::Own, Kind::Extension] {
        let database = Database::create_with_extension("uninstall");
        let mut client = database.client();
        queues::install_as(&mut client, kind);
        queues::create(&mut client, "q");
        client
            .batch_execute(
                "create table users (id int primary key); select pgq.create_queue('r'); \
                 select pgq.register_consumer('q', 'c'); create trigger capture after insert on users \
                 for each row execute function pgq.logutriga('q'); insert into users values (1), (2), (3)",
            )
            .expect("used");
        retain_events(&mut client);
        let refused = pgqadm(&database, folder.path(), &["uninstall"]).output().expect("runs");
        assert_eq!(refused.status.code(), Some(2));
        let expected = "permanently remove schema pgq (2 queues with 1 consumer, 2 retry events, 1 failed event, 1 delayed event, \
                        1 schedule and the trigger `capture` on `public.users`)?";
        assert!(errors(&refused).contains(expected), "{}", errors(&refused));
        assert_eq!(queues::count(&mut client, "q"), 3);

        let removed = succeed(&mut pgqadm(&database, folder.path(), &["uninstall", "--yes"]));
        assert!(errors(&removed).contains("schema pgq: removed, "), "{}", errors(&removed));
        assert_eq!(schema::contents(&mut client).expect("answers"), None);
        let left = "select count(*) from pg_namespace where nspname in ('pgq', 'pgq_coop', 'pgq_ext')";
        assert_eq!(client.query_one(left, &[]).expect("countable").get::<_, i64>(0), 0);
        client.batch_execute("insert into users values (4)").expect("the table works without the trigger");

        let again = succeed(&mut pgqadm(&database, folder.path(), &["uninstall", "--yes"]));
        assert!(errors(&again).contains("schema pgq: not installed"), "{}", errors(&again));
        let other = if kind == Kind::Own { Kind::Extension } else { Kind::Own };
        assert_eq!(queues::install_as(&mut client, other).change, SchemaChange::Installed);
    }
}

/// Leaves two retry events, a failed event, a delayed event and a schedule.
fn retain_events(client: &mut Client) {
    queues::tick(client, "q");
    let batch: i64 = client.query_one("select pgq.next_batch('q', 'c')", &[]).expect("a batch").get(0);
    let retain = "select case when ev_data like '%=3' then pgq.event_failed($1, ev_id, 'why') \
                  else pgq.event_retry($1, ev_id, 3600) end from pgq.get_batch_events($1)";
    assert_eq!(client.query(retain, &[&batch]).expect("retained").len(), 3);
    client
        .batch_execute(
            "select pgq.insert_event_at('q', now() + '1 hour', 'type', 'data'), \
             pgq.schedule_event('q', 'nightly', '@daily', 'UTC', '2040-01-01', 'type', 'data', null, null, null, null)",
        )
        .expect("retained");
}

#[test]
fn a_confirmation_leaves_out_no_rows_that_row_security_hides() {
    let database = Database::create("uninstall");
    let mut client = database.client();
    let role = format!("owner_{}", unique());
    let create = format!(
        "create role {role}; grant create on database {} to {role}; set role {role}",
        database.name()
    );
    client.batch_execute(&create).expect("an ordinary role");
    queues::install_as(&mut client, Kind::Own);
    queues::create(&mut client, "q");
    let table = |name: &str, change: &str| format!("alter table pgq.{name} {change} row level security");
    for name in ["queue", "subscription", "retry_queue", "failed_queue", "delayed_queue", "scheduled_event"] {
        for change in ["enable", "force"] {
            client.batch_execute(&table(name, change)).expect("changed");
        }
        let hidden = format!("row security hides rows of `pgq.{name}`");
        let contents = schema::contents(&mut client).expect_err("hidden").to_string();
        let removal = schema::uninstall(&mut client).expect_err("hidden").to_string();
        assert!(contents.contains(&hidden) && removal.contains(&hidden), "{contents}; {removal}");
        if name != "queue" && name != "subscription" {
            let dropped = pgq::admin::queue_contents(&mut client, "q").expect_err("hidden").to_string();
            assert!(dropped.contains(&hidden), "{dropped}");
        }
        client.batch_execute(&table(name, "disable")).expect("changed");
    }
    assert_eq!(schema::uninstall(&mut client).expect("removed"), Some(Kind::Own));
    client.batch_execute(&format!("reset role; drop owned by {role}; drop role {role}")).expect("dropped");
}

#[test]
fn a_role_that_owns_nothing_finds_all_installed() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = Database::create("install");
    let mut client = database.client();
    succeed(&mut pgqadm(&database, folder.path(), &["install"]));
    let role = format!("user_{}", unique());
    client.batch_execute(&format!("create role {role} login")).expect("created");
    let again =
        succeed(pgqadm(&database, folder.path(), &["install"]).env("PGOPTIONS", format!("-c role={role}")));
    let log = errors(&again);
    assert!(log.contains("schema pgq: already installed"), "{log}");
    assert!(log.contains("schema pgq_ext: already installed, up to date"), "{log}");
    client.batch_execute(&format!("drop role {role}")).expect("dropped");
}

#[test]
fn a_closed_pipe_amid_the_printed_schema_is_no_failure() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = Database::create("install");
    let mut program = pgqadm(&database, folder.path(), &["install", "--print"]);
    let mut program = program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    drop(program.stdout.take());
    let output = program.wait_with_output().expect("ends");
    assert!(output.status.success(), "{}", errors(&output));
}

#[test]
fn a_schema_of_another_origin_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = Database::create("uninstall");
    let mut client = database.client();
    client
        .batch_execute("create schema pgq; create table pgq.notes (note text); create schema pgq_ext")
        .expect("created");
    for schema in ["pgq", "pgq_ext"] {
        let refused =
            pgqadm(&database, folder.path(), &["uninstall", schema, "--yes"]).output().expect("runs");
        assert_eq!(refused.status.code(), Some(1), "{}", errors(&refused));
    }
    client.batch_execute("select * from pgq.notes").expect("still there");
}

#[test]
fn addons_are_installed_next_to_an_existing_extension() {
    let database = Database::create_with_extension("extras");
    let mut client = database.client();
    queues::create_extension(&mut client);
    client.batch_execute("select pgq.create_queue('q')").expect("used");
    let role = format!("user_{}", unique());
    let set = format!(
        "create role {role}; grant create on database {} to {role}; set role {role}",
        database.name()
    );
    client.batch_execute(&set).expect("an ordinary role");
    let report = schema::install_as(&mut client, None).expect("nothing to do");
    assert_eq!((report.change, report.extras), (SchemaChange::Unchanged, None));
    assert!(report.to_string().contains("takes the owner of schema pgq"), "{report}");

    client.batch_execute("reset role").expect("reset");
    let report = schema::install_as(&mut client, Some(Kind::Extension)).expect("completed");
    assert_eq!((report.change, report.extras), (SchemaChange::Unchanged, Some(SchemaChange::Installed)));
    let report = schema::install_as(&mut client, None).expect("again");
    assert_eq!((report.change, report.extras), (SchemaChange::Unchanged, Some(SchemaChange::Unchanged)));
    client
        .batch_execute("comment on table pgq.failed_queue is 'Failed events of PgQ, release 0, 0'")
        .expect("aged");
    let report = schema::install_as(&mut client, None).expect("again");
    assert_eq!((report.change, report.extras), (SchemaChange::Unchanged, Some(SchemaChange::Updated)));
    client.batch_execute(&format!("set role {role}")).expect("set");
    assert_eq!(schema::install_as(&mut client, None).expect("there").extras, Some(SchemaChange::Unchanged));
}
