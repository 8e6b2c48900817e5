//! Installing over schemas and objects that an ordinary role has created.

use pgq::schema::{self, Kind};
use pgq_ext::schema as ext;
use postgres::Error as ServerError;

use super::Scene;
use crate::support::queues;

/// Returns the whole chain of an error.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    dbscript::describe(error)
}

#[track_caller]
fn refused(scene: &mut Scene, expected: &str) {
    for kind in [None, Some(Kind::Own)] {
        let error = schema::install_as(&mut scene.boss, kind).expect_err("refused");
        let text = chain(&error);
        assert!(text.contains(expected) && text.contains(&scene.role), "{text}");
    }
    scene.assert_nothing_was_run();
}

#[test]
fn a_record_of_batches_that_a_lesser_role_has_made_is_not_adopted() {
    let mut scene = Scene::create("trust");
    scene
        .client()
        .batch_execute(
            "create schema pgq_ext; \
             create table pgq_ext.completed_tick (consumer_id text, subconsumer_id text default '', \
                 last_tick_id bigint, primary key (consumer_id, subconsumer_id)); \
             create trigger t before insert on pgq_ext.completed_tick for each row execute function app.caught()",
        )
        .expect("made");
    let error = ext::install(&mut scene.boss).expect_err("refused");
    let text = chain(&error);
    assert!(text.contains(&format!("schema pgq_ext belongs to role {}", scene.role)), "{text}");
    let error = scene.boss.batch_execute(&ext::sql()).expect_err("refused");
    assert!(message(&error).contains("schema pgq_ext belongs to role"), "{error:?}");
    scene.boss.batch_execute("rollback").expect("no transaction");
    let (status, log) = scene.install(&["install", "pgq_ext"]);
    assert_eq!(status, Some(1), "{log}");
    let (status, log) = scene.install(&["uninstall", "pgq_ext", "--force"]);
    assert_eq!(status, Some(1), "{log}");
    let functions = "select count(*) from pg_proc where pronamespace = 'pgq_ext'::regnamespace";
    assert_eq!(scene.boss.query_one(functions, &[]).expect("countable").get::<_, i64>(0), 0);
    scene.assert_nothing_was_run();
}

fn message(error: &ServerError) -> String {
    error.as_db_error().map(|error| error.message().to_owned()).unwrap_or_default()
}

#[test]
fn a_schema_that_a_lesser_role_has_made_is_not_adopted() {
    for name in ["pgq", "pgq_coop"] {
        let mut scene = Scene::create("trust");
        scene.client().batch_execute(&format!("create schema {name}")).expect("made");
        refused(&mut scene, &format!("schema {name} belongs to role"));
    }
}

#[test]
fn cooperative_consumers_next_to_the_extension_are_not_put_into_a_lesser_roles_schema() {
    let mut scene = Scene::of(crate::support::Database::create_with_extension("trust"));
    queues::create_extension(&mut scene.boss);
    scene.client().batch_execute("create schema pgq_coop").expect("made");
    let error = schema::install_as(&mut scene.boss, None).expect_err("refused");
    assert!(chain(&error).contains("schema pgq_coop belongs to role"), "{error:?}");
    let failed = "select to_regclass('pgq.failed_queue') is null";
    assert!(scene.boss.query_one(failed, &[]).expect("answers").get::<_, bool>(0));
}

#[test]
fn the_own_schema_of_a_lesser_role_is_for_that_role_alone() {
    let mut scene = Scene::create("trust");
    let mut client = scene.client();
    queues::install_as(&mut client, Kind::Own);
    ext::install(&mut client).expect("installed");
    client
        .batch_execute(
            "create trigger t before insert on pgq.queue for each row execute function app.caught(); \
             comment on schema pgq is 'PgQ in SQL, release 1, 0123456789abcdef'",
        )
        .expect("created");
    refused(&mut scene, "schema pgq belongs to role");
    for arguments in [&["install"][..], &["uninstall", "--force"]] {
        let (status, log) = scene.install(arguments);
        assert_eq!(status, Some(1), "{log}");
        assert!(log.contains("run this as the owner"), "{log}");
    }
    scene.assert_nothing_was_run();
    schema::install_as(&mut client, None).expect("its owner brings it up to date");
}

/// Statements that make an object for the role `ROLE`, statements that remove the object, and its name in the message.
const OBJECTS: [(&str, &str, &str); 11] = [
    (
        "create trigger t before insert on pgq.queue for each row execute function app.caught()",
        "drop trigger t on pgq.queue",
        "trigger t on pgq.queue",
    ),
    (
        "create rule r as on insert to pgq.tick do also select app.look()",
        "drop rule r on pgq.tick",
        "rule r on pgq.tick",
    ),
    (
        "create policy p on pgq.queue using (app.look() = 1)",
        "drop policy p on pgq.queue",
        "policy p on pgq.queue",
    ),
    (
        "alter table pgq.queue alter column queue_ntables set default app.look()",
        "alter table pgq.queue alter column queue_ntables set default 3",
        "default value for pgq.queue.queue_ntables",
    ),
    (
        "alter table pgq.consumer add constraint laid check (app.look() = 1) not valid",
        "alter table pgq.consumer drop constraint laid",
        "table constraint laid on pgq.consumer",
    ),
    ("create view pgq.laid as select app.look()", "drop view pgq.laid", "uses function app.look()"),
    ("alter table pgq.tick owner to ROLE", "alter table pgq.tick owner to postgres", "table pgq.tick"),
    (
        "alter function pgq.version() owner to ROLE",
        "alter function pgq.version() owner to postgres",
        "function pgq.version()",
    ),
    ("alter type pgq.tg_facts owner to ROLE", "alter type pgq.tg_facts owner to postgres", "tg_facts"),
    (
        "create table app.child () inherits (pgq.event_template); alter table app.child owner to ROLE",
        "drop table app.child",
        "table app.child belongs to role",
    ),
    ("grant create on schema pgq to ROLE", "revoke all on schema pgq from PUBLIC", "may create in schema"),
];

/// Objects that were created in a schema that now belongs to a superuser: each kind of code that an installation or a
/// statement of PgQ's would run.
#[test]
fn objects_of_a_lesser_role_in_an_adopted_schema_are_found() {
    let mut scene = Scene::create("trust");
    queues::install_as(&mut scene.boss, Kind::Own);
    let role = scene.role.clone();
    for (lay, lift, named) in OBJECTS {
        let lay = lay.replace("ROLE", &role);
        scene.boss.batch_execute(&format!("set check_function_bodies = off; {lay}")).expect(&lay);
        let aged = "comment on schema pgq is 'PgQ in SQL, release 1, 0123456789abcdef'";
        for state in ["select 1", aged] {
            scene.boss.batch_execute(state).expect("commented");
            let error = schema::install_as(&mut scene.boss, None).expect_err(&lay);
            let text = chain(&error);
            assert!(text.contains(named) && text.contains(&role), "{lay}: {text}");
        }
        scene.boss.batch_execute(lift).expect(lift);
        scene.boss.batch_execute(&format!("revoke create on schema pgq from {role}")).expect("revoked");
        scene.boss.batch_execute("grant usage on schema pgq to public").expect("granted");
        schema::install_as(&mut scene.boss, None).expect("clean again");
    }
    scene.assert_nothing_was_run();
}

#[test]
fn a_queue_whose_tables_belong_to_a_lesser_role_is_found() {
    let mut scene = Scene::create("trust");
    queues::install_as(&mut scene.boss, Kind::Own);
    pgq::admin::create_queue(&mut scene.boss, "q").expect("created");
    scene.client().batch_execute("create view app.seq as select app.look() as last_value").expect("made");
    scene.boss.batch_execute("update pgq.queue set queue_tick_seq = 'app.seq'").expect("created");
    refused(&mut scene, "queue q uses view app.seq, which belongs to role");
}

/// Another superuser's is as good as one's own, and an ordinary role leaves a superuser's alone.
#[test]
fn objects_of_a_superuser_are_trusted() {
    let mut scene = Scene::create("trust");
    queues::install_as(&mut scene.boss, Kind::Own);
    ext::install(&mut scene.boss).expect("installed");
    let other = format!("boss_{}", crate::support::unique());
    let mut client = scene.client();
    schema::install_as(&mut client, None).expect("there already");
    ext::install(&mut client).expect("there already");
    let aged = "comment on schema pgq is 'PgQ in SQL, release 1, 0123456789abcdef'";
    scene
        .boss
        .batch_execute(&format!("create role {other} superuser; set role {other}; {aged}"))
        .expect("set");
    let report = schema::install_as(&mut scene.boss, None).expect("brought up to date");
    assert_eq!(report.change, schema::SchemaChange::Updated);
    ext::install(&mut scene.boss).expect("installed again");
    scene.boss.batch_execute("select pgq.create_queue('q'), pgq.insert_event('q', 'a', 'b')").expect("used");
    scene.boss.batch_execute("reset role").expect("reset");
}
