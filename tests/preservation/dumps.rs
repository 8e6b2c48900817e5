//! The own schema, and the extension, after a dump and a restore.

use std::process::{Command, Stdio};

use pgq::schema::{self, Kind, SchemaChange};
use postgres::{Client, NoTls};

use crate::support::{Database, queues, templates, unique};

fn succeed(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().expect("starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
}

/// A dump in a file, and a way to read it back.
struct Dump {
    folder: tempfile::TempDir,
    custom: bool,
}

impl Dump {
    fn of(database: &Database, arguments: &[&str]) -> Dump {
        let dump =
            Dump { folder: tempfile::tempdir().expect("a folder"), custom: arguments.contains(&"-Fc") };
        let mut command = database.server().client_program("pg_dump");
        command.args(arguments).arg("-f").arg(dump.folder.path().join("dump")).arg(database.conninfo());
        succeed(&mut command);
        dump
    }

    /// Restores it as a role.
    fn restore(&self, database: &Database, user: &str, arguments: &[&str]) {
        let conninfo = database.conninfo().replace("user=postgres", &format!("user={user}"));
        let file = self.folder.path().join("dump");
        let server = database.server();
        let mut command = match self.custom {
            true => server.client_program("pg_restore"),
            false => server.client_program("psql"),
        };
        match self.custom {
            true => command.args(["-e", "-d", &conninfo]).args(arguments).arg(file),
            false => command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f"]).arg(file).arg(&conninfo),
        };
        succeed(command.stdout(Stdio::null()));
    }
}

/// A database with a queue, a consumer, an open batch of one event, and another event.
fn used(kind: Kind) -> Database {
    let (database, mut client) = templates::installed(kind, "dumped");
    for queue in ["a", "b"] {
        queues::create(&mut client, queue);
    }
    pgq::admin::register_consumer(&mut client, "a", "c").expect("registered");
    queues::insert(&mut client, "a", 1, 1);
    queues::tick(&mut client, "a");
    queues::insert(&mut client, "a", 2, 1);
    database
}

/// Fails unless queues can be created, and used by all that they are for.
#[track_caller]
fn assert_works(client: &mut Client, queue: &str) {
    pgq::admin::create_queue(client, queue).expect("created");
    pgq::admin::register_consumer(client, queue, "again").expect("registered");
    client.execute("select pgq.insert_event($1, 'a', 'b')", &[&queue]).expect("inserted");
    client.execute("select pgq.force_tick($1)", &[&queue]).expect("forced");
    client.execute("select pgq.ticker($1)", &[&queue]).expect("ticks");
    let events = "select count(*) from pgq.get_batch_events(pgq.next_batch($1, 'again'))";
    assert_eq!(client.query_one(events, &[&queue]).expect("readable").get::<_, i64>(0), 1);
    pgq::ticker::maintain(client).expect("maintained");
}

fn restored(kind: Kind, arguments: &[&str]) -> (Database, Client) {
    let source = used(kind);
    let dump = Dump::of(&source, arguments);
    let database = Database::create_for(kind, "restored");
    dump.restore(&database, "postgres", &[]);
    let client = database.client();
    (database, client)
}

#[test]
fn the_schema_is_recognized_without_its_comments() {
    let (_database, mut client) = restored(Kind::Own, &["--no-comments"]);
    for comment in [
        "select 1",
        "comment on schema pgq is 'our queues'; comment on schema pgq_coop is 'theirs'; \
                     comment on table pgq.failed_queue is 'lost'",
    ] {
        client.batch_execute(comment).expect("commented");
        let report = schema::install_as(&mut client, None).expect("installed");
        assert_eq!(
            (report.kind, report.change, report.extras),
            (Kind::Own, SchemaChange::Unchanged, Some(SchemaChange::Unchanged))
        );
    }
    assert_eq!(queues::count(&mut client, "a"), 2);
    client.batch_execute(&schema::sql()).expect("the printed script recognizes it too");
    assert_works(&mut client, "new");
    assert_eq!(schema::uninstall(&mut client).expect("removed"), Some(Kind::Own));
}

#[test]
fn a_dump_without_data_serves_new_queues() {
    for kind in [Kind::Own, Kind::Extension] {
        let (_database, mut client) = restored(kind, &["-s"]);
        schema::install_as(&mut client, None).expect("installed");
        for queue in ["a", "b", "new"] {
            assert_works(&mut client, queue);
        }
    }
}

#[test]
fn tables_that_a_dump_has_left_out_are_made_anew() {
    for left_out in ["pgq.*", "pgq.tick", "pgq.event_*", "pgq.retry_queue", "pgq.failed_queue"] {
        // Objects that depend on an omitted table fail to restore; the installation has to create them.
        let source = used(Kind::Own);
        let dump = Dump::of(&source, &["-T", left_out]);
        let database = Database::create("restored");
        let mut psql = database.server().client_program("psql");
        psql.args(["-X", "-q", "-f"]).arg(dump.folder.path().join("dump")).arg(database.conninfo());
        succeed(psql.stdout(Stdio::null()));
        let mut client = database.client();
        let report = schema::install_as(&mut client, None).expect("installed");
        assert!(
            report.change == SchemaChange::Updated || report.extras != Some(SchemaChange::Unchanged),
            "{left_out}"
        );
        assert_works(&mut client, "new");
        if left_out == "pgq.event_*" {
            queues::insert(&mut client, "a", 1, 1);
            assert_eq!(queues::count(&mut client, "a"), 1);
            assert!(pgq::admin::drop_queue(&mut client, "a", pgq::admin::DropMode::Force).expect("dropped"));
        }
        let report = schema::install_as(&mut client, None).expect("again");
        assert_eq!(
            (report.change, report.extras),
            (SchemaChange::Unchanged, Some(SchemaChange::Unchanged)),
            "{left_out}"
        );
    }
}

#[test]
fn missing_constraints_and_functions_are_created_again() {
    let (_database, mut client) = restored(Kind::Own, &["--section=pre-data", "--section=data"]);
    client.batch_execute("drop function pgq.next_batch(text, text)").expect("dropped");
    assert_eq!(schema::install_as(&mut client, None).expect("installed").change, SchemaChange::Updated);
    assert_works(&mut client, "new");
    assert_eq!(queues::count(&mut client, "a"), 2);
    let keys = "select count(*) from pg_constraint where connamespace = 'pgq'::regnamespace and contype in ('p', 'u', 'f')";
    assert_eq!(client.query_one(keys, &[]).expect("countable").get::<_, i64>(0), 12);
}

/// Without its rights every function would be for everybody.
#[test]
fn rights_that_a_dump_has_left_out_are_given_again() {
    for kind in [Kind::Own, Kind::Extension] {
        let source = used(kind);
        let rights = "select oid::regprocedure::text || array(select acl::text from unnest(proacl) acl order by 1)::text \
             from pg_proc where pronamespace in (select oid from pg_namespace where nspname in ('pgq', 'pgq_coop')) \
             union all select relname || array(select acl::text from unnest(relacl) acl order by 1)::text \
             from pg_class where relnamespace = 'pgq'::regnamespace order by 1";
        let read = |client: &mut Client| -> Vec<Option<String>> {
            client.query(rights, &[]).expect("readable").iter().map(|row| row.get(0)).collect()
        };
        let expected = read(&mut source.client());
        let dump = Dump::of(&source, &["--no-privileges"]);
        let database = Database::create_for(kind, "restored");
        dump.restore(&database, "postgres", &[]);
        let mut client = database.client();
        schema::install_as(&mut client, None).expect("installed");
        let found = read(&mut client);
        let differs: Vec<_> = expected.iter().filter(|right| !found.contains(right)).collect();
        assert!(differs.is_empty(), "{kind}: {differs:?}");
    }
}

#[test]
fn another_owner_restores_all_or_the_schema_alone_and_continues() {
    let source = used(Kind::Own);
    for arguments in [&["-Fc", "--no-owner", "--no-privileges"][..], &["-Fc", "-n", "pgq"]] {
        let dump = Dump::of(&source, arguments);
        let database = Database::create("restored");
        let owner = format!("owner_{}", unique());
        database
            .client()
            .batch_execute(&format!(
                "create role {owner} login; grant create on database {} to {owner}",
                database.name()
            ))
            .expect("created");
        dump.restore(&database, &owner, &["--no-owner", "--no-privileges", "--no-comments"]);
        let conninfo = database.conninfo().replace("user=postgres", &format!("user={owner}"));
        let mut client = Client::connect(&conninfo, NoTls).expect("connected");
        assert_eq!(schema::install_as(&mut client, None).expect("installed").kind, Kind::Own);
        assert_works(&mut client, "new");
        let batch = "select count(*) from pgq.get_batch_events(pgq.next_batch('a', 'c'))";
        assert_eq!(client.query_one(batch, &[]).expect("readable").get::<_, i64>(0), 1);
        assert_eq!(queues::count(&mut client, "a"), 2);
        let public = "select has_function_privilege('public', 'pgq.finish_batch(bigint)', 'execute')";
        assert!(!client.query_one(public, &[]).expect("answers").get::<_, bool>(0));
        let error = schema::install_as(&mut database.client(), None).expect_err("a superuser's is another");
        assert!(format!("{error:?}").contains(&format!("belongs to role {owner}")), "{error:?}");
    }
}
