//! Schemas that appear while an installation waits for its lock.

use std::io::Write;
use std::process::Stdio;

use postgres::Client;

use super::Scene;
use crate::support::wait_for;

fn is_waiting(client: &mut Client) -> bool {
    let waiting = "select exists (select from pg_locks where locktype = 'advisory' and not granted \
         and database = (select oid from pg_database where datname = current_database()))";
    client.query_one(waiting, &[]).expect("answers").get(0)
}

/// Makes an installation wait, creates a schema meanwhile as the ordinary role, and returns the result of the
/// installation.
fn meet(
    scene: &mut Scene,
    lock: &str,
    schema: &str,
    start: impl FnOnce(&Scene) -> std::process::Child,
) -> String {
    let mut client = scene.client();
    client.batch_execute(&format!("select pg_advisory_lock(hashtextextended('{lock}', 0))")).expect("locked");
    let child = start(scene);
    wait_for("the installation to wait", || is_waiting(&mut scene.boss));
    client.batch_execute(&format!("create schema {schema}")).expect("made");
    client.batch_execute("select pg_advisory_unlock_all()").expect("unlocked");
    let output = child.wait_with_output().expect("ends");
    let functions = format!("select count(*) from pg_proc where pronamespace = '{schema}'::regnamespace");
    assert_eq!(scene.boss.query_one(&functions, &[]).expect("countable").get::<_, i64>(0), 0);
    crate::support::programs::errors(&output)
}

fn psql(scene: &Scene, script: &str) -> std::process::Child {
    let mut command = scene.database.server().client_program("psql");
    // Snapshots that are kept would not contain the schemas that were created meanwhile.
    command.env("PGOPTIONS", "-c default_transaction_isolation=serializable");
    command.args(["-X", "-q", "-1", &scene.database.conninfo()]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("starts");
    let mut input = child.stdin.take().expect("a pipe");
    let script = script.to_owned();
    // Not read to its end before the lock is free.
    std::thread::spawn(move || input.write_all(script.as_bytes()));
    child
}

#[test]
fn a_schema_that_appears_while_the_printed_script_waits_is_not_adopted() {
    for (lock, schema, script) in [
        ("pgq install", "pgq", pgq::schema::sql()),
        ("pgq install", "pgq_coop", pgq::schema::sql()),
        ("pgq_ext install", "pgq_ext", pgq_ext::schema::sql()),
    ] {
        let mut scene = Scene::create("trust");
        let log = meet(&mut scene, lock, schema, |scene| psql(scene, &script));
        assert!(log.contains(&format!("schema {schema} belongs to role {}", scene.role)), "{log}");
    }
}

#[test]
fn a_schema_that_appears_while_pgqadm_waits_is_not_adopted() {
    for (lock, schema) in [("pgq install", "pgq"), ("pgq_ext install", "pgq_ext")] {
        let mut scene = Scene::create("trust");
        let folder = tempfile::tempdir().expect("a folder");
        let log = meet(&mut scene, lock, schema, |scene| {
            let ini = format!("[pgqadm]\ndb = {}\n", scene.database.conninfo());
            std::fs::write(folder.path().join("x.ini"), ini).expect("writable");
            let mut command = crate::support::programs::command("pgqadm", folder.path());
            command.args(["x.ini", "install", "--schema", "own"]).stderr(Stdio::piped());
            command.env("PGOPTIONS", "-c default_transaction_isolation=serializable");
            command.spawn().expect("starts")
        });
        assert!(log.contains(&format!("schema {schema} belongs to role {}", scene.role)), "{log}");
    }
}
