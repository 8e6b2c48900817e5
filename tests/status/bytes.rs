//! Names that are no text: in a database with encoding `SQL_ASCII`, and among those that a whole cluster shares.

use std::process::Command;

use tempfile::TempDir;

use super::*;
use crate::support::programs::{Running, command_on, errors};
use crate::support::server::Server;
use crate::support::{shared, unique, wait_for, with_extension};

struct Scene {
    server: &'static Server,
    name: String,
    client: Client,
    folder: TempDir,
}

impl Scene {
    /// Creates a database that takes any bytes, with a queue like any other and one whose name is no text.
    fn create(kind: Kind) -> Scene {
        let server = if kind == Kind::Own { shared() } else { with_extension() };
        let name = format!("bytes_{}", unique());
        let create = format!(
            "create database {name} encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C' template template0"
        );
        server.client("postgres").batch_execute(&create).expect("created");
        let mut client = server.client(&name);
        queues::install_as(&mut client, kind);
        client
            .batch_execute(
                r"select pgq.create_queue('q');
                  select pgq.create_queue(E'odd\xff');
                  select pgq.register_consumer('q', 'well');
                  select pgq.register_consumer('q', E'bad\xff');
                  select pgq.register_consumer(E'odd\xff', E'bad\xff');
                  update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0',
                      queue_rotation_period = '0'",
            )
            .expect("any bytes will do");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ini = format!(
            "[pgqadm]\ndb = {}\nlogfile = log\nloop_delay = 0.02\nmaint_delay = 0.05\nretry_delay = 0.05\n",
            server.conninfo(&name)
        );
        std::fs::write(folder.path().join("job.ini"), ini).expect("writable");
        Scene { server, name, client, folder }
    }

    fn pgqadm(&self, arguments: &[&str]) -> Command {
        let mut command = command_on(self.server, "pgqadm", self.folder.path());
        command.arg("job.ini").args(arguments);
        command
    }

    /// Runs a command that succeeds, and returns its output.
    #[track_caller]
    fn print(&self, arguments: &[&str]) -> String {
        let output = self.pgqadm(arguments).output().expect("starts");
        assert!(output.status.success(), "{arguments:?}: {}", errors(&output));
        String::from_utf8(output.stdout).expect("text")
    }

    fn count(&mut self, select: &str) -> i64 {
        self.client.query_one(select, &[]).unwrap_or_else(|error| panic!("{select}: {error}")).get(0)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // Anything that remains is removed with the server's folder.
        let _ = self.server.drop_database(&self.name);
    }
}

#[test]
fn names_that_are_no_text_hide_no_other_rows() {
    for kind in [Kind::Own, Kind::Extension] {
        let mut scene = Scene::create(kind);
        let names: Vec<String> = read(&mut scene.client).queues.into_iter().map(|queue| queue.name).collect();
        assert_eq!(names, [r"odd\xff", "q"], "{kind}");
        let status = queue(&mut scene.client, "q");
        assert!(consumer(&status, r"bad\xff").pending_events.is_some());
        assert!(consumer(&status, "well").pending_events.is_some());
        let odd = queue(&mut scene.client, r"odd\xff");
        assert_eq!(odd.consumers.len(), 1, "{odd:?}");

        for arguments in [&["status"][..], &["status", "--json"], &["check"], &["config"]] {
            let text = scene.print(arguments);
            let shown = if arguments.contains(&"--json") { r"\\xff" } else { r"odd\xff" };
            assert!(arguments == ["check"] || text.contains(shown), "{text}");
        }
        // Errors list the existing names.
        let output = scene.pgqadm(&["register", "none", "c", "--at", "1"]).output().expect("starts");
        assert!(errors(&output).contains("xff"), "{}", errors(&output));
        let output = scene.pgqadm(&["register", "q", "c", "--copy", "none"]).output().expect("starts");
        assert!(errors(&output).contains("xff"), "{}", errors(&output));
        let status = read(&mut scene.client);
        let metrics = pgq::status::metrics::render(&[&status], &[]);
        assert!(metrics.contains(r#"consumer="bad\\xff""#), "{metrics}");
        scene.print(&["drop", "q", "--force"]);
    }
}

/// Fails unless a queue whose name is no text ticks, rotates and retries like any other.
fn is_maintained(kind: Kind) {
    let mut scene = Scene::create(kind);
    let ticker = Running::start(&mut scene.pgqadm(&["ticker"]));
    let ticks = "select min(ticks) from (select count(tick_id) filter (where tick_id > 3) as ticks \
                 from pgq.queue left join pgq.tick on tick_queue = queue_id group by queue_id) each";
    wait_for("ticks", || scene.count(ticks) > 0);
    let rotated = "select count(*) from pgq.queue where queue_cur_table > 0";
    // Consumers that stand still hold it up.
    scene
        .client
        .batch_execute(
            r"select pgq.unregister_consumer('q', 'well');
        select pgq.unregister_consumer('q', E'bad\xff')",
        )
        .expect("unregistered");
    wait_for("a rotation", || scene.count(rotated) > 0);
    scene.client.batch_execute(r"select pgq.insert_event(E'odd\xff', 't', 'd')").expect("inserted");
    let retry_batch = r"with batch as (select pgq.next_batch(E'odd\xff', E'bad\xff') as id)
        select count(pgq.event_retry(id, ev_id, 0)) from batch, pgq.get_batch_events(id)";
    wait_for("the event", || {
        let found = scene.count(retry_batch);
        let finish =
            "select count(pgq.finish_batch(sub_batch)) from pgq.subscription where sub_batch is not null";
        scene.count(finish);
        found > 0
    });
    wait_for("its return", || scene.count("select count(*) from pgq.retry_queue") == 0);
    let rotate_odd = r"select count(*) from pgq.queue where queue_name = E'odd\xff' and queue_cur_table > 0";
    scene.client.batch_execute(r"select pgq.unregister_consumer(E'odd\xff', E'bad\xff')").expect("done");
    wait_for("its rotation", || scene.count(rotate_odd) > 0);
    drop(ticker);
    let log = std::fs::read_to_string(scene.folder.path().join("log")).unwrap_or_default();
    assert!(!log.contains("ERROR"), "{kind}: {log}");
}

#[test]
fn a_queue_of_the_own_schema_whose_name_is_no_text_ticks_rotates_and_retries_like_any_other() {
    is_maintained(Kind::Own);
}

#[test]
fn a_queue_of_the_extension_whose_name_is_no_text_ticks_rotates_and_retries_like_any_other() {
    is_maintained(Kind::Extension);
}

#[test]
fn failed_events_that_are_no_text_are_shown() {
    let mut scene = Scene::create(Kind::Own);
    for statement in [
        r"select pgq.insert_event('q', E't\xfe', E'd\xfd')",
        "select pgq.force_tick('q')",
        "select pgq.ticker('q')",
        "select pgq.next_batch('q', 'well')",
        r"select pgq.event_failed(sub_batch, ev_id, E'why\xfc')
          from pgq.subscription, pgq.get_batch_events(sub_batch) where sub_batch is not null",
    ] {
        scene.client.batch_execute(statement).expect(statement);
    }
    let id = scene.count("select ev_id from pgq.failed_queue").to_string();
    let list = scene.print(&["failed", "list", "q", "well"]);
    for text in ["xfe", "xfd", "xfc"] {
        assert!(list.contains(text), "{list}");
    }
    scene.print(&["failed", "retry", "q", "well", &id]);
    let same = r"select count(*) from pgq.event_1 where ev_data = E'd\xfd' and ev_retry = 1";
    assert_eq!(scene.count(same), 1, "it is redelivered unchanged");
}

/// The names of databases and roles are those of a whole cluster, in the encoding of the database that created them.
#[test]
fn names_of_the_cluster_that_are_no_text_hide_no_other_rows() {
    let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
    server.create_database("somedb");
    let mut client = server.client("somedb");
    queues::install_as(&mut client, Kind::Own);
    server
        .client("postgres")
        .batch_execute(
            "create database bytes encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C' template template0",
        )
        .expect("created");
    let mut bytes = server.client("bytes");
    bytes.batch_execute(r#"do $$ begin execute E'create database "odd\xff"'; end $$"#).unwrap_err();
    // A transaction block cannot create a database, so its name is changed.
    bytes.batch_execute("create database odd").expect("created");
    bytes
        .batch_execute(r#"do $$ begin execute E'alter database odd rename to "odd\xff"'; end $$"#)
        .expect("renamed");
    bytes
        .batch_execute(r#"do $$ begin execute E'create role "role\xff" superuser'; end $$"#)
        .expect("created");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ini = "[pgqadm]\nbase_connstr = user=postgres\ninitial_database = somedb\nlogfile = log\n\
               exception_sleep = 0.1\ncheck_period = 0.2\n";
    std::fs::write(folder.path().join("job.ini"), ini).expect("writable");
    let mut command = command_on(&server, "pgqadm", folder.path());
    let _ticker = Running::start(command.args(["job.ini", "ticker"]));
    let log = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    wait_for("a ticker", || log().contains("database `somedb`: found PgQ") && log().contains("ticking"));
    assert!(!log().contains("panic"), "{}", log());
}
