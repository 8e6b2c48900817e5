//! Foreign objects that depend on the schemas are named before they are removed.

use pgq::schema::{self, Kind};
use postgres::Client;

use crate::support::programs::{command_on, errors};
use crate::support::{Database, queues, templates};

/// Everything that a cascade takes.
const USERS: &str = "create table report (id int, which pgq.queue); \
     create view names as select queue_name from pgq.queue; \
     create view more_names as select * from names; \
     create materialized view kept as select * from pgq.tick; \
     create function queue_of(pgq.queue) returns text language sql as 'select $1.queue_name'; \
     create table uses (id int references pgq.queue (queue_id)); \
     create table late (at text default pgq.version()); \
     create table child () inherits (pgq.event_template); \
     create table log (n int); \
     create rule note as on insert to log do also select queue_name from pgq.queue; \
     create table users (id int primary key); \
     create trigger capture after insert on users for each row execute function pgq.logutriga('q'); \
     create view pgq.mine as select 1 as one; \
     create publication p for table pgq.tick, log";

const NAMED: [&str; 11] = [
    "table column public.report.which",
    "view public.names",
    "view public.more_names",
    "materialized view public.kept",
    "function public.queue_of(pgq.queue)",
    "table constraint uses_id_fkey on public.uses",
    "default value for public.late.at",
    "table public.child",
    "rule note on public.log",
    "view pgq.mine",
    "publication relation pgq.tick in publication p",
];

/// Runs `pgqadm`; returns its exit status and all that it has written.
pub(super) fn pgqadm(database: &Database, arguments: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let ini = format!("[pgqadm]\ndb = {}\n", database.conninfo());
    std::fs::write(folder.path().join("x.ini"), ini).expect("writable");
    let mut command = command_on(database.server(), "pgqadm", folder.path());
    let output = command.arg("x.ini").args(arguments).output().expect("runs");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned() + &errors(&output))
}

fn is_there(client: &mut Client, relation: &str) -> bool {
    client.query_one("select to_regclass($1::text) is not null", &[&relation]).expect("answers").get(0)
}

#[test]
fn dependents_of_the_schema_are_named_before_and_after_its_removal() {
    for kind in [Kind::Own, Kind::Extension] {
        let (database, mut client) = templates::installed(kind, "depends");
        queues::create(&mut client, "q");
        client.batch_execute(USERS).expect("used");
        let contents = schema::contents(&mut client).expect("answers").expect("installed");
        let mut expected = NAMED.map(str::to_owned).to_vec();
        expected.sort();
        let mut found = contents.dependents.clone();
        found.sort();
        assert_eq!(found, expected, "{kind}");
        assert_eq!(contents.triggers, ["`capture` on `public.users`"]);
        let (status, log) = pgqadm(&database, &["uninstall", "pgq"]);
        assert_eq!(status, Some(2), "{log}");
        assert!(NAMED.iter().all(|name| log.contains(name)), "{log}");
        assert!(is_there(&mut client, "names"));
        let (status, log) = pgqadm(&database, &["uninstall", "pgq", "--force"]);
        assert_eq!(status, Some(0), "{log}");
        assert!(NAMED.iter().all(|name| log.contains(name)), "{log}");
        assert!(!is_there(&mut client, "names") && is_there(&mut client, "report"));
    }
}

#[test]
fn nothing_is_named_where_nothing_depends_on_it() {
    for kind in [Kind::Own, Kind::Extension] {
        let (_database, mut client) = templates::installed_whole(kind, "depends");
        queues::create(&mut client, "q");
        client
            .batch_execute("create table mine (id int); create view v as select * from mine")
            .expect("created");
        let contents = schema::contents(&mut client).expect("answers").expect("installed");
        assert!(contents.dependents.is_empty(), "{kind}: {:?}", contents.dependents);
        let found = schema::dependents(&mut client, &["pgq_ext"]).expect("answers");
        assert!(found.is_empty(), "{found:?}");
    }
}

#[test]
fn a_confirmation_covers_only_the_listed_objects() {
    let (database, mut client) = templates::installed_whole(Kind::Own, "depends");
    let agreed = schema::contents(&mut client).expect("answers").expect("installed");
    client
        .batch_execute(
            "create view names as select queue_name from pgq.queue; \
             create view ticks as select * from pgq_ext.completed_tick; \
             create view coop as select pgq_coop.version()",
        )
        .expect("used");
    let error = schema::uninstall_confirmed(&mut client, &agreed).expect_err("refused");
    assert!(error.to_string().contains("was created since"), "{error}");
    let error = pgq_ext::schema::uninstall_confirmed(&mut client, &[]).expect_err("refused");
    assert!(
        format!("{error:?}").contains("view public.ticks depends on it and was created since"),
        "{error:?}"
    );
    let agreed = schema::contents(&mut client).expect("answers").expect("installed");
    assert_eq!(agreed.dependents, ["view public.coop", "view public.names"]);
    pgq::admin::create_queue(&mut client, "q").expect("created");
    let error = schema::uninstall_confirmed(&mut client, &agreed).expect_err("refused");
    assert!(error.to_string().contains("a queue was created since"), "{error}");
    let (status, log) = pgqadm(&database, &["uninstall", "pgq_ext"]);
    assert_eq!(status, Some(2), "{log}");
    assert!(log.contains("its dependent objects: view public.ticks"), "{log}");
    let (status, log) = pgqadm(&database, &["uninstall", "--force"]);
    assert_eq!(status, Some(0), "{log}");
    assert!(log.contains("schema pgq_ext: removed, and with it view public.ticks"), "{log}");
}

#[test]
fn a_queue_is_not_dropped_under_a_view() {
    for kind in [Kind::Own, Kind::Extension] {
        let (database, mut client) = templates::installed(kind, "depends");
        queues::create(&mut client, "q");
        for (use_it, named, leave_it) in [
            ("create view seen as select * from pgq.event_1", "view public.seen", "drop view seen"),
            ("create table child () inherits (pgq.event_1_0)", "table public.child", "drop table child"),
            (
                "create table mine (id bigint default nextval('pgq.event_1_id_seq'))",
                "default value for public.mine.id",
                "drop table mine",
            ),
        ] {
            client.batch_execute(use_it).expect("used");
            let contents = pgq::admin::queue_contents(&mut client, "q").expect("answers").expect("there");
            assert_eq!(contents.dependents, [named]);
            for arguments in [&["drop", "q"][..], &["drop", "q", "--force"]] {
                let (status, log) = pgqadm(&database, arguments);
                assert_eq!(status, Some(1), "{log}");
                assert!(log.contains(&format!("{named} depends on its tables; drop that first")), "{log}");
            }
            client.batch_execute(leave_it).expect("no use any more");
        }
        assert!(pgq::admin::drop_queue(&mut client, "q", pgq::admin::DropMode::Force).expect("dropped"));
    }
}
