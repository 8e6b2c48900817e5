//! A ticker with great rights, and databases whose queues belong to lesser roles.

use pgq::schema::Kind;
use postgres::Client;

use super::Scene;
use crate::support::jobs::TestJob;
use crate::support::programs::{Running, command_on};
use crate::support::{Database, queues, templates, wait_for};

/// Makes functions of a schema run something of their owner's.
const LAID: &str = "create or replace function pgq.maint_operations(out func_name text, out func_arg text) \
     returns setof record language plpgsql as $$ begin perform app.look(); end $$; \
     create or replace function pgq.ticker() returns bigint language plpgsql as \
         $$ begin perform app.look(); return 0; end $$; \
     create or replace function pgq.ticker(i_queue_name text) returns bigint language plpgsql as \
         $$ begin perform app.look(); return 1; end $$; \
     create or replace function pgq.version() returns text language plpgsql as \
         $$ begin perform app.look(); return '3.5'; end $$; \
     create or replace function pgq.get_queue_info() returns setof record language sql as 'select app.look()'; \
     create or replace function pgq.create_queue(i_queue_name text) returns integer language plpgsql as \
         $$ begin perform app.look(); return 1; end $$";

fn foreign_objects() -> Scene {
    let scene = Scene::create("ticking");
    let mut client = scene.client();
    queues::install_as(&mut client, Kind::Own);
    queues::create(&mut client, "q");
    client.batch_execute("drop function pgq.get_queue_info()").expect("dropped");
    client.batch_execute(LAID).expect("created");
    scene
}

fn last_tick(client: &mut Client) -> i64 {
    client.query_one("select max(tick_id) from pgq.tick", &[]).expect("readable").get(0)
}

#[test]
fn a_superuser_runs_no_function_of_foreign_queues() {
    let mut scene = foreign_objects();
    let expected = format!("belongs to role `{}`", scene.role);
    let boss = &mut scene.boss;
    let refusals = [
        pgq::ticker::maintain(boss).expect_err("refused"),
        pgq::ticker::retry_events(boss).expect_err("refused"),
        pgq::ticker::tick(boss).expect_err("refused"),
        pgq::admin::create_queue(boss, "r").expect_err("refused"),
        pgq::admin::register_consumer(boss, "q", "c").expect_err("refused"),
        pgq::status::Status::read(boss).expect_err("refused"),
        pgq::admin::drop_queue(boss, "q", pgq::admin::DropMode::Force).expect_err("refused"),
    ];
    for refusal in refusals {
        assert!(
            refusal.kind() == pgq::ErrorKind::Untrusted && refusal.to_string().contains(&expected),
            "{refusal}"
        );
    }
    let failed = pgq::Ticker::new(&scene.database.conninfo()).spawn().err().map(|error| error.to_string());
    assert!(failed.is_some(), "a ticker that does not start");
    for arguments in
        [&["status"][..], &["check"], &["create", "r"], &["register", "q", "c"], &["drop", "q", "--force"]]
    {
        let (status, log) = scene.install(arguments);
        assert_ne!(status, Some(0), "{arguments:?}: {log}");
    }
    scene.assert_nothing_was_run();
}

/// The ticker of a cluster leaves out one database, says so once, and ticks the others.
#[test]
fn a_cluster_continues_without_a_foreign_database() {
    let mut scene = foreign_objects();
    let (other, mut client) = templates::prepared("ticking");
    queues::create(&mut client, "q");
    let job = TestJob::of("pgqadm", "");
    let server = scene.database.server();
    let lines = format!(
        "[pgqd]\nbase_connstr = host={} port={} user=postgres\ndatabase_list = {}, {}\ncheck_period = 0.1\n\
         ticker_period = 0.02\nmaint_period = 0.05\nretry_period = 0.05\nlogfile = job.log\npidfile = job.pid\n",
        server.socket_dir().display(),
        server.port(),
        scene.database.name(),
        other.name()
    );
    std::fs::write(job.path().join("job.ini"), lines).expect("writable");
    let before = last_tick(&mut client);
    let ticker = |once: bool| {
        let mut command = command_on(server, "pgqadm", job.path());
        command.args(["job.ini", "ticker"]).args(once.then_some("-1"));
        command
    };
    let mut running = Running::start(&mut ticker(false));
    wait_for("ticks", || last_tick(&mut client) > before + 3);
    let warning = format!("database `{}`: ", scene.database.name());
    wait_for("the warning", || job.count(&warning) > 0);
    let line = job.log().lines().find(|line| line.contains(&warning)).map(str::to_owned).unwrap_or_default();
    assert!(
        line.contains(&format!("belongs to role `{}`", scene.role)) && line.contains("connect as"),
        "{line}"
    );
    let before = last_tick(&mut client);
    wait_for("more ticks", || last_tick(&mut client) > before + 10);
    assert_eq!(job.count(&warning), 1, "{}", job.log());
    running.kill();
    let _ = std::fs::remove_file(job.path().join("job.pid"));
    let _ = ticker(true).output().expect("runs");
    scene.assert_nothing_was_run();
}

/// One function or trigger of a lesser role's is enough, also in a schema that is a superuser's.
#[test]
fn one_foreign_object_is_enough() {
    let mut scene = Scene::create("ticking");
    queues::install_as(&mut scene.boss, Kind::Own);
    queues::create(&mut scene.boss, "q");
    let role = scene.role.clone();
    for (lay, lift) in [
        (
            format!("alter function pgq.maint_operations() owner to {role}"),
            "alter function pgq.maint_operations() owner to postgres",
        ),
        (
            "create trigger t before insert on pgq.tick for each row execute function app.caught()"
                .to_owned(),
            "drop trigger t on pgq.tick",
        ),
    ] {
        scene.boss.batch_execute(&lay).expect(&lay);
        assert!(
            pgq::ticker::maintain(&mut scene.boss).expect_err("refused").kind() == pgq::ErrorKind::Untrusted
        );
        let failed = pgq::Ticker::new(&scene.database.conninfo()).spawn().err();
        assert!(failed.is_some_and(|error| dbscript::describe(&error).contains(&role)));
        scene.boss.batch_execute(lift).expect(lift);
        pgq::ticker::maintain(&mut scene.boss).expect("maintained");
    }
    scene.assert_nothing_was_run();
}

/// A role that has the ticker's rights anyway gains nothing.
#[test]
fn the_owner_may_have_the_tickers_rights() {
    let mut scene = Scene::create("ticking");
    queues::install_as(&mut scene.client(), Kind::Own);
    let ticker = format!("ticker_{}", crate::support::unique());
    scene
        .boss
        .batch_execute(&format!("create role {ticker} login; grant pgq_admin to {ticker}; set role {ticker}"))
        .expect("created");
    assert!(pgq::ticker::maintain(&mut scene.boss).expect_err("refused").kind() == pgq::ErrorKind::Untrusted);
    scene
        .boss
        .batch_execute(&format!("reset role; grant {ticker} to {}; set role {ticker}", scene.role))
        .expect("granted");
    pgq::ticker::maintain(&mut scene.boss).expect("maintained");
    scene.boss.batch_execute("reset role").expect("reset");
}

/// Extra maintenance of a queue is run with the ticker's rights, regardless of the role that has set it.
#[test]
fn a_queue_does_not_have_a_lesser_roles_function_run() {
    for kind in [Kind::Own, Kind::Extension] {
        let mut scene = Scene::of(Database::create_for(kind, "ticking"));
        queues::install_as(&mut scene.boss, kind);
        queues::create(&mut scene.boss, "q");
        let role = scene.role.clone();
        scene
            .boss
            .batch_execute(&format!(
                "grant pgq_admin to {role}; create table public.done (queue text); \
                 create function public.fine(text) returns integer language sql as \
                     'insert into public.done values ($1); select 0'"
            ))
            .expect("granted");
        scene
            .client()
            .batch_execute(
                "create function app.extra(text) returns integer language sql as 'select app.look()'; \
                 update pgq.queue set queue_extra_maint = '{app.extra,public.fine}'",
            )
            .expect("set");
        pgq::ticker::maintain(&mut scene.boss).expect("the rest is done");
        scene.assert_nothing_was_run();
        let done: i64 = scene.boss.query_one("select count(*) from public.done", &[]).expect("there").get(0);
        assert_eq!(done, 1, "{kind}");
        // An overload that fits as well.
        scene.boss.batch_execute("alter function app.extra(text) owner to postgres").expect("altered");
        pgq::ticker::maintain(&mut scene.boss).expect("the schema's owner could replace it");
        scene.assert_nothing_was_run();
    }
}

/// The extension's maintenance reads tables of these schemas before their owner is checked.
#[test]
fn maintenance_of_the_extension_reads_no_foreign_tables() {
    let mut scene = Scene::of(Database::create_with_extension("ticking"));
    queues::install_as(&mut scene.boss, Kind::Extension);
    queues::create(&mut scene.boss, "q");
    scene
        .client()
        .batch_execute(
            "create schema pgq_node; create schema londiste; \
             create view pgq_node.node_info as select 'q' as queue_name, 'root' as node_type where app.look() = 1; \
             create function pgq_node.maint_watermark(text) returns integer language sql as 'select app.look()'; \
             grant usage on schema pgq_node to public; grant select on pgq_node.node_info to public",
        )
        .expect("made up");
    scene.boss.batch_execute("update pgq.queue set queue_rotation_period = '0'").expect("set");
    let current = "select queue_cur_table from pgq.queue";
    let before: i32 = scene.boss.query_one(current, &[]).expect("there").get(0);
    wait_for("the rotation to continue", || {
        pgq::ticker::maintain(&mut scene.boss).expect("maintained");
        scene.boss.query_one(current, &[]).expect("there").get::<_, i32>(0) != before
    });
    scene.assert_nothing_was_run();
}
