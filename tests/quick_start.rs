//! The manual pages' QUICK-START, line by line, with the mover's file as the book shows it.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::support::programs::{JOB, MOVER_INI, command_on, errors, succeed};
use crate::support::server::Server;
use crate::support::{queues, wait_for};

const TICKER_INI: &str = "\
[pgqadm]
job_name = pgqadm_NAME
db = dbname=NAME
# how often to run maintenance [seconds]
maint_delay = 600
# how often to check for activity [seconds]
loop_delay = 0.1
logfile = ~/log/%(job_name)s.log
pidfile = ~/pid/%(job_name)s.pid
";

/// Returns the mover's file in the book: the manual's, whose folders `log` and `pid` are swapped.
fn mover_ini() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/src/how-to/mover.md");
    let page = fs::read_to_string(page).expect("readable");
    let block = page.split("```").find(|block| block.contains("[queue_mover]")).expect("the mover's file");
    let ini: String = block.lines().skip(1).map(|line| format!("{}\n", line.trim_start())).collect();
    let manual = MOVER_INI.replace("log/", "x/").replace("pid/", "log/").replace("x/", "pid/");
    assert_eq!(ini.trim_end(), manual.trim_end());
    ini
}

fn run(server: &Server, folder: &Path, line: &str) -> Command {
    let mut words = line.split(' ');
    let mut command = command_on(server, words.next().expect("a program"), folder);
    command.args(words).env("HOME", folder);
    command
}

/// Creates the databases, writes the files, and runs the commands up to the running mover.
fn set_up(server: &Server, folder: &Path) {
    for name in ["sourcedb", "targetdb"] {
        server.create_database(name);
        let ini = TICKER_INI.replace("NAME", name);
        fs::write(folder.join(format!("{name}_ticker.ini")), ini).expect("writable");
    }
    fs::write(folder.join("qmover_sourceq_to_targetdb.ini"), mover_ini()).expect("writable");

    for line in [
        "pgqadm sourcedb_ticker.ini install",
        "pgqadm targetdb_ticker.ini install",
        "pgqadm -d sourcedb_ticker.ini ticker",
        "pgqadm -d targetdb_ticker.ini ticker",
        "pgqadm sourcedb_ticker.ini create eventlog",
        "pgqadm targetdb_ticker.ini create copy_of_eventlog",
        "pgqadm sourcedb_ticker.ini register eventlog eventlog_to_target_mover",
        "queue_mover -d qmover_sourceq_to_targetdb.ini",
    ] {
        let output = succeed(&mut run(server, folder, line));
        assert!(!errors(&output).contains("WARNING"), "{line}: {}", errors(&output));
    }
}

#[test]
fn the_quick_start_works_as_printed() {
    let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    set_up(&server, folder);
    let (mut source, mut target) = (server.client("sourcedb"), server.client("targetdb"));
    queues::insert(&mut source, "eventlog", 0, 1000);
    wait_for("the events to arrive", || queues::count(&mut target, "copy_of_eventlog") == 1000);
    assert_eq!(queues::events(&mut source, "eventlog"), queues::events(&mut target, "copy_of_eventlog"));

    succeed(&mut run(&server, folder, "queue_mover -s qmover_sourceq_to_targetdb.ini"));
    for name in ["sourcedb", "targetdb"] {
        succeed(&mut run(&server, folder, &format!("pgqadm -s {name}_ticker.ini")));
        wait_for("the ticker to end", || !folder.join(format!("pid/pgqadm_{name}.pid")).exists());
    }
    wait_for("the mover to end", || !folder.join(format!("pid/{JOB}.pid")).exists());
    assert!(
        fs::read_to_string(folder.join(format!("log/{JOB}.log"))).expect("the log").contains("{count: 1000")
    );
    succeed(&mut run(
        &server,
        folder,
        "pgqadm sourcedb_ticker.ini unregister eventlog eventlog_to_target_mover",
    ));
    assert!(source.query("select * from pgq.get_consumer_info()", &[]).expect("readable").is_empty());
}

#[test]
fn commands_may_be_repeated() {
    let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
    server.create_database("db");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ini = folder.path().join("x.ini");
    fs::write(&ini, "[pgqadm]\ndb = dbname=db\npidfile = x.pid\n").expect("writable");
    let say = |line: &str| errors(&succeed(&mut run(&server, folder.path(), line)));
    assert!(say("pgqadm x.ini install").contains("schema pgq: installed"));
    assert!(say("pgqadm x.ini install").contains("schema pgq: already installed"));
    assert!(say("pgqadm x.ini create q").contains("queue `q`: created"));
    assert!(say("pgqadm x.ini create q").contains("queue `q`: already exists"));
    let mut ticker =
        crate::support::programs::Running::start(&mut run(&server, folder.path(), "pgqadm x.ini ticker"));
    let mut client = server.client("db");
    wait_for("a tick", || {
        client.query_one("select count(*) > 1 from pgq.tick", &[]).expect("readable").get(0)
    });
    assert!(say("pgqadm x.ini register q c").contains("consumer `c` on queue `q`: registered"));
    assert!(say("pgqadm x.ini register q c").contains("already registered"));
    assert!(say("pgqadm x.ini unregister q c").contains("`q`: unregistered"));
    assert!(say("pgqadm x.ini unregister q c").contains("not registered"));
    ticker.signal(Signal::SIGTERM);
    assert_eq!(ticker.wait(), Some(0));
}

#[test]
fn maintenance_that_fails_does_not_hold_up_the_ticks() {
    let (database, mut client) = queues::database("extra", "q");
    client.execute("update pgq.queue set queue_extra_maint = '{no.such_function}'", &[]).expect("updated");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ini = format!("[pgqadm]\ndb = dbname={}\nmaint_delay = 0\nloop_delay = 0.02\n", database.name());
    fs::write(folder.path().join("x.ini"), ini + "logfile = x.log\nexception_sleep = 0.02\n")
        .expect("writable");
    let mut ticker = command_on(crate::support::shared(), "pgqadm", folder.path());
    let ticker = crate::support::programs::Running::start(ticker.args(["-v", "x.ini", "ticker"]));
    let log = || fs::read_to_string(folder.path().join("x.log")).unwrap_or_default();
    wait_for("two complaints", || log().matches("maintenance `no.such_function` of `q` failed").count() >= 2);
    let ticks = |client: &mut postgres::Client| -> i64 {
        client.query_one("select max(tick_id) from pgq.tick", &[]).expect("readable").get(0)
    };
    let before = ticks(&mut client);
    wait_for("more ticks", || ticks(&mut client) > before + 1);
    drop(ticker);
}
