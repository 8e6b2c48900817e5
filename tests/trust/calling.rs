//! The functions that a superuser calls in foreign schemas, as a consumer or as a mover, and the role that a database
//! sets for it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use pgq::consume::Unknown;
use pgq::schema::Kind;
use pgq::{Hooks, Router, Worker};
use postgres::Client;

use super::Scene;
use crate::support::programs::{command_on, errors};
use crate::support::{queues, wait_for};

/// Makes all functions of a schema run with the caller's rights, and each change of a table run the role's code.
const OPEN: &str = "do $$ declare name text; begin \
         for name in select oid::regprocedure from pg_proc where pronamespace = 'SCHEMA'::regnamespace loop \
             execute format('alter routine %s security invoker', name); end loop; \
         for name in select oid::regclass from pg_class where relnamespace = 'SCHEMA'::regnamespace and relkind = 'r' loop \
             execute format('create trigger caught before insert or update or delete on %s for each row \
                 execute function app.caught()', name); end loop; end $$";

#[derive(Default)]
struct Failures(Mutex<String>);

impl Hooks for Failures {
    fn round_failed(&self, error: &(dyn std::error::Error + 'static)) {
        *self.0.lock().expect("unpoisoned") = dbscript::describe(error);
    }
}

#[test]
fn a_superusers_mover_runs_no_function_of_a_foreign_record() {
    let mut scene = Scene::create("calling");
    queues::install_as(&mut scene.boss, Kind::Own);
    queues::create(&mut scene.boss, "q");
    queues::create(&mut scene.boss, "r");
    let mut client = scene.client();
    pgq_ext::schema::install(&mut client).expect("the role's own");
    client.batch_execute(&OPEN.replace("SCHEMA", "pgq_ext")).expect("created");
    let folder = tempfile::tempdir().expect("a folder");
    let conninfo = scene.database.conninfo();
    let ini = format!(
        "[queue_mover]\njob_name = m\nsrc_db = {conninfo}\ndst_db = {conninfo}\nqueue_name = q\ndst_queue_name = r\n"
    );
    std::fs::write(folder.path().join("m.ini"), ini).expect("writable");
    for switches in [&["-q"][..], &["--reset"], &["--rewind"], &["--register"], &["--unregister"]] {
        let mut mover = command_on(scene.database.server(), "queue_mover", folder.path());
        let output = mover.args(switches).arg("m.ini").output().expect("runs");
        let log = errors(&output);
        assert_eq!(output.status.code(), Some(1), "{switches:?}: {log}");
        assert!(
            log.contains("pgq_ext") && log.contains(&format!("belongs to role `{}`", scene.role)),
            "{log}"
        );
    }
    scene.assert_nothing_was_run();
}

/// A database may be another one when it is connected to again.
#[test]
fn a_running_consumer_checks_each_connection() {
    let mut scene = Scene::create("calling");
    queues::install_as(&mut scene.boss, Kind::Own);
    queues::create(&mut scene.boss, "q");
    let mut client = scene.client();
    let failures = Arc::new(Failures::default());
    let _worker = Worker::new(&scene.database.conninfo(), "q", "c")
        .loop_delay(Duration::from_millis(20))
        .exception_sleep(Duration::from_millis(20))
        .hooks(failures.clone())
        .spawn(Router::new(Unknown::Skip))
        .expect("up");
    let name = scene.database.name().to_owned();
    scene
        .database
        .server()
        .client("postgres")
        .batch_execute(&format!("alter database {name} allow_connections false"))
        .expect("closed");
    wait_for("the consumer's last connection", || {
        let others = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
             where datname = current_database() and usename = current_user and pid <> pg_backend_pid()";
        scene.boss.query_one(others, &[]).expect("ended").get::<_, i64>(0) == 0
    });
    replace_next_batch(&mut scene, &mut client);
    scene
        .database
        .server()
        .client("postgres")
        .batch_execute(&format!("alter database {name} allow_connections true"))
        .expect("open");
    let role = scene.role.clone();
    wait_for("a failed round", || {
        let failure = failures.0.lock().expect("unpoisoned");
        failure.contains("next_batch_custom") && failure.contains(&format!("belongs to role `{role}`"))
    });
    scene.assert_nothing_was_run();
}

/// Gives a function that the consumer calls to the role, which replaces it.
fn replace_next_batch(scene: &mut Scene, client: &mut Client) {
    let function = "pgq.next_batch_custom(text, text, interval, integer, interval)";
    let role = scene.role.clone();
    scene
        .boss
        .batch_execute(&format!(
            "grant all on schema pgq to {role}; alter function {function} owner to {role}"
        ))
        .expect("the owner is changed");
    client
        .batch_execute(
            "create or replace function pgq.next_batch_custom( \
                 i_queue_name text, i_consumer_name text, i_min_lag interval, i_min_count integer, \
                 i_min_interval interval, out batch_id bigint, out cur_tick_id bigint, out prev_tick_id bigint, \
                 out cur_tick_time timestamptz, out prev_tick_time timestamptz, out cur_tick_event_seq bigint, \
                 out prev_tick_event_seq bigint) \
             language plpgsql as $$ begin insert into public.proof values (current_user); end $$",
        )
        .expect("created");
}

/// Asserts that the library's calls are refused.
fn assert_calls_refused(boss: &mut Client, conninfo: &str) {
    pgq::ticker::maintain(boss).expect_err("refused");
    pgq::ticker::tick(boss).expect_err("refused");
    pgq::admin::register_consumer(boss, "q", "c").expect_err("refused");
    pgq::schema::install(boss).expect_err("refused");
    pgq_ext::schema::install(boss).expect_err("refused");
    pgq::Ticker::new(conninfo).spawn().err().expect("refused");
    Worker::new(conninfo, "q", "c").spawn(Router::new(Unknown::Skip)).err().expect("refused");
}

/// The owner of a database sets the role of its sessions; a superuser's session can reset its role, as any code in it
/// may.
#[test]
fn a_role_that_the_database_sets_does_not_protect_a_superuser() {
    let mut scene = Scene::create("calling");
    let (name, role) = (scene.database.name().to_owned(), scene.role.clone());
    scene.boss.batch_execute(&format!("alter database {name} owner to {role}")).expect("given");
    let mut client = scene.client();
    queues::install_as(&mut client, Kind::Own);
    queues::create(&mut client, "q");
    pgq_ext::schema::install(&mut client).expect("installed");
    client
        .batch_execute(&format!(
            "create or replace function app.caught() returns trigger language plpgsql as $$ begin \
                 perform pg_catalog.set_config('role', 'none', true); \
                 insert into public.proof values (current_user); return new; end $$; \
             {}; {}; alter database {name} set role = {role}",
            OPEN.replace("SCHEMA", "pgq"),
            OPEN.replace("SCHEMA", "pgq_ext"),
        ))
        .expect("created");
    let mut boss = scene.database.client();
    let current: String = boss.query_one("select current_user::text", &[]).expect("a role").get(0);
    assert_eq!(current, role, "what the database sets");
    assert_calls_refused(&mut boss, &scene.database.conninfo());
    // This one prints its line to standard output.
    assert_eq!(scene.install(&["check"]).0, Some(3));
    for arguments in [&["status"][..], &["register", "q", "c"], &["install"], &["ticker"]] {
        let (status, log) = scene.install(arguments);
        assert!(status != Some(0) && log.contains("setting `role`"), "{arguments:?}: {log}");
    }
    scene.assert_nothing_was_run();

    // A user without further rights than the role's may work as that role.
    let member = format!("member_{}", crate::support::unique());
    scene.boss.batch_execute(&format!("create role {member} login in role {role}")).expect("created");
    let conninfo = scene.database.conninfo().replace("user=postgres", &format!("user={member}"));
    let mut client = postgres::Client::connect(&conninfo, postgres::NoTls).expect("connected");
    pgq::ticker::tick(&mut client).expect("ticked");
}
