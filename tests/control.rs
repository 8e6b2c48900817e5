//! Starting, stopping, killing and reloading a running program.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use postgres::{Client, Transaction};

use crate::support::programs::{JOB, Pair, Running, SOURCE_QUEUE, TARGET_QUEUE, errors, succeed};
use crate::support::{queues, wait_for};

/// Waits until the mover waits for a lock in a database.
pub(crate) fn wait_blocked(client: &mut Client) {
    wait_for("the mover to wait for a lock", || {
        let waiting: i64 = client
            .query_one(
                "select count(*) from pg_stat_activity where datname = current_database() \
                 and application_name = $1 and wait_event_type = 'Lock'",
                &[&JOB],
            )
            .expect("readable")
            .get(0);
        waiting > 0
    });
}

/// Starts a mover amid a batch that lasts as long as the returned transaction: it waits to record the tick.
fn start_held<'a>(pair: &Pair, holder: &'a mut Client) -> (Transaction<'a>, Running) {
    pair.register();
    let mut source = pair.source_client();
    queues::insert(&mut source, SOURCE_QUEUE, 0, 100);
    queues::tick(&mut source, SOURCE_QUEUE);
    let mut hold = holder.transaction().expect("begin");
    hold.batch_execute("lock table pgq_ext.completed_tick in exclusive mode").expect("locked");
    let mover = Running::start(&mut pair.mover(&[]));
    wait_blocked(&mut pair.target_client());
    (hold, mover)
}

/// Waits until the mover has a batch's work behind it.
fn wait_moved(pair: &Pair, count: usize) {
    let mut target = pair.target_client();
    wait_for("the events to arrive", || queues::count(&mut target, TARGET_QUEUE) == count);
}

#[test]
fn a_daemon_starts_works_and_stops() {
    let pair = Pair::create();
    succeed(&mut pair.mover(&["-d"]));
    let pid = fs::read_to_string(pair.pidfile()).expect("the daemon is up, so the pidfile is there");
    let pid: i32 = pid.trim().parse().expect("a process id");
    assert_ne!(pid, 0);

    let second = pair.mover(&[]).output().expect("starts");
    assert_eq!(second.status.code(), Some(1));
    assert!(errors(&second).contains(&format!("already running: process {pid}")), "{}", errors(&second));

    let mut source = pair.source_client();
    queues::insert(&mut source, SOURCE_QUEUE, 0, 100);
    queues::tick(&mut source, SOURCE_QUEUE);
    wait_moved(&pair, 100);

    succeed(&mut pair.mover(&["-s"]));
    wait_for("the removal of the pidfile", || !pair.pidfile().exists());
    let nothing = succeed(&mut pair.mover(&["-s"]));
    assert!(errors(&nothing).contains("the process is not running"), "{}", errors(&nothing));
    pair.assert_moved();
}

#[test]
fn a_daemon_that_cannot_start_reports_through_its_parent() {
    let pair = Pair::create();
    pair.target_client().batch_execute("drop schema pgq_ext cascade").expect("dropped");
    let output = pair.mover(&["-d"]).output().expect("starts");
    assert_eq!(output.status.code(), Some(1));
    let line = errors(&output);
    assert!(line.contains("schema `pgq_ext` is not installed") && line.lines().count() == 1, "{line}");
    assert!(!pair.pidfile().exists());
}

#[test]
fn stop_finishes_the_batch() {
    let pair = Pair::create();
    let mut holder = pair.target_client();
    let (hold, mut mover) = start_held(&pair, &mut holder);

    succeed(&mut pair.mover(&["-s"]));
    wait_for("the signal to be logged", || pair.log().contains("got SIGINT"));
    assert!(mover.is_running());
    hold.commit().expect("released");
    assert_eq!(mover.wait(), Some(0));
    pair.assert_moved();
    assert_eq!(queues::position(&mut pair.source_client(), SOURCE_QUEUE, JOB).1, None);
    assert!(!pair.pidfile().exists());
}

#[test]
fn kill_ends_a_long_batch_and_loses_nothing() {
    let pair = Pair::create();
    let (mut holder, mut target) = (pair.target_client(), pair.target_client());
    let (hold, mut mover) = start_held(&pair, &mut holder);

    succeed(&mut pair.mover(&["-k"]));
    assert_eq!(mover.wait(), Some(0));
    assert!(!pair.pidfile().exists());
    assert_eq!(queues::count(&mut target, TARGET_QUEUE), 0);
    hold.rollback().expect("released");
    pair.drain();
    pair.assert_moved();
}

#[test]
fn kill_does_not_wait_for_a_server_that_does_not_answer() {
    let pair = Pair::on_own_server();
    let (mut holder, mut target) = (pair.target_client(), pair.target_client());
    let (_hold, mut mover) = start_held(&pair, &mut holder);

    // Neither the mover's statement nor the request to cancel it gets an answer from now on.
    let pids = "select pid from pg_stat_activity where application_name = $1";
    let mut silent: Vec<i32> =
        target.query(pids, &[&JOB]).expect("readable").iter().map(|row| row.get(0)).collect();
    let postmaster = fs::read_to_string(pair.server().data_dir().join("postmaster.pid")).expect("running");
    silent.push(postmaster.lines().next().and_then(|pid| pid.parse().ok()).expect("a process id"));
    let signal_all = |signal| silent.iter().for_each(|pid| kill(Pid::from_raw(*pid), signal).expect("there"));
    signal_all(Signal::SIGSTOP);
    succeed(&mut pair.mover(&["-k"]));
    let status = mover.wait();
    let left_behind = pair.pidfile().exists();
    signal_all(Signal::SIGCONT);
    assert_eq!((status, left_behind), (Some(0), false), "{}", pair.log());
}

#[test]
fn a_second_interrupt_is_a_kill() {
    let pair = Pair::create();
    let (mut holder, mut target) = (pair.target_client(), pair.target_client());
    let (_hold, mut mover) = start_held(&pair, &mut holder);
    wait_for("the process to end", || {
        if mover.is_running() {
            mover.signal(Signal::SIGINT);
        }
        !mover.is_running()
    });
    assert_eq!(mover.wait(), Some(0));
    assert_eq!(queues::count(&mut target, TARGET_QUEUE), 0);
}

#[test]
fn reload_picks_up_the_delay_and_the_connection_string() {
    let (pair, other) = (Pair::create(), Pair::create());
    pair.register();
    // Nothing but a reload ends this sleep.
    pair.write_ini("");
    let patient = fs::read_to_string(pair.folder.path().join("mover.ini")).expect("there");
    let patient = patient.replace("loop_delay = 0.05", "loop_delay = 3600");
    fs::write(pair.folder.path().join("mover.ini"), &patient).expect("writable");
    let mut mover = Running::start(&mut pair.mover(&[]));
    wait_for("the mover to be up", || pair.pidfile().exists() && is_idle(&pair));

    let changed =
        patient.replace("loop_delay = 3600", "loop_delay = 0.05").replace(&pair.target, &other.target);
    fs::write(pair.folder.path().join("mover.ini"), changed).expect("writable");
    succeed(&mut pair.mover(&["-r"]));
    wait_for("the reload", || pair.log().contains("Config reloaded"));
    let mut source = pair.source_client();
    for n in 0..2 {
        queues::insert(&mut source, SOURCE_QUEUE, n, 1);
        queues::tick(&mut source, SOURCE_QUEUE);
        let mut target = other.target_client();
        let expected = usize::try_from(n).expect("small") + 1;
        wait_for("the event at the new target", || queues::count(&mut target, TARGET_QUEUE) == expected);
    }
    assert_eq!(queues::count(&mut pair.target_client(), TARGET_QUEUE), 0);
    assert!(mover.is_running());
}

#[test]
fn a_reload_of_a_broken_file_keeps_the_old_configuration() {
    let pair = Pair::create();
    pair.register();
    let mover = Running::start(&mut pair.mover(&[]));
    wait_for("the mover to be up", || pair.pidfile().exists() && is_idle(&pair));
    let good = fs::read_to_string(pair.folder.path().join("mover.ini")).expect("there");
    let broken = [
        "[other]\nx = 1\n".to_owned(),
        good.replace("loop_delay = 0.05", "loop_delay = soon"),
        good.replace(&pair.target, "nowhere_at_all"),
        good.replace("copy_of_eventlog", "no_such_queue"),
    ];
    for (at, text) in broken.iter().enumerate() {
        fs::write(pair.folder.path().join("mover.ini"), text).expect("writable");
        mover.signal(Signal::SIGHUP);
        wait_for("the complaint", || pair.log().matches("Config not reloaded").count() == at + 1);
    }
    let mut source = pair.source_client();
    queues::insert(&mut source, SOURCE_QUEUE, 0, 10);
    queues::tick(&mut source, SOURCE_QUEUE);
    wait_moved(&pair, 10);
}

#[test]
fn a_reload_warns_of_settings_that_it_cannot_change() {
    let pair = Pair::create();
    pair.register();
    let mover = Running::start(&mut pair.mover(&[]));
    wait_for("the mover to be up", || pair.pidfile().exists() && is_idle(&pair));
    let text = fs::read_to_string(pair.folder.path().join("mover.ini")).expect("there");
    fs::write(pair.folder.path().join("mover.ini"), text.replace("pidfile = log/", "pidfile = "))
        .expect("writable");
    mover.signal(Signal::SIGHUP);
    wait_for("the warning", || pair.log().contains("WARNING changes of job_name, pidfile, logfile"));
}

#[test]
fn a_closed_standard_error_is_survived() {
    let pair = Pair::create();
    pair.register();
    // The reader of the pipe has closed it, as `| head` does after ten lines.
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut mover = Running::start_with(&mut pair.mover(&["-v"]), writer);
    let mut source = pair.source_client();
    for n in 0..3 {
        queues::insert(&mut source, SOURCE_QUEUE, n, 1);
        queues::tick(&mut source, SOURCE_QUEUE);
        wait_moved(&pair, usize::try_from(n).expect("small") + 1);
    }
    assert!(pair.log().contains("{count: 1"));
    mover.signal(Signal::SIGINT);
    assert_eq!(mover.wait(), Some(0));
}

#[test]
fn a_lifetime_of_zero_opens_a_connection_for_each_round() {
    let pair = Pair::create();
    pair.write_ini("connection_lifetime = 0\n");
    pair.register();
    let mover = Running::start(&mut pair.mover(&[]));
    let mut source = pair.source_client();
    let mut backends = std::collections::HashSet::new();
    wait_for("three backends", || {
        let sql =
            "select pid from pg_stat_activity where datname = current_database() and application_name = $1";
        backends.extend(source.query(sql, &[&JOB]).expect("readable").iter().map(|row| row.get::<_, i32>(0)));
        backends.len() >= 3
    });
    drop(mover);
}

#[test]
fn a_roles_rights_are_those_that_pgq_gives() {
    let pair = Pair::create();
    let role = format!("mover_{}", crate::support::unique());
    let grants = format!("create role {role} login; grant pgq_reader, pgq_admin to {role}");
    pair.source_client().batch_execute(&grants).expect("granted");
    pair.register();
    let mut source = pair.source_client();
    queues::insert(&mut source, SOURCE_QUEUE, 0, 10);
    queues::tick(&mut source, SOURCE_QUEUE);
    succeed(pair.mover(&["--set", "loop_delay=0"]).env("PGUSER", role));
    pair.assert_moved();
}

/// Returns whether the mover has connected to its source.
fn is_idle(pair: &Pair) -> bool {
    let mut client = pair.source_client();
    let idle: i64 = client
        .query_one(
            "select count(*) from pg_stat_activity where datname = current_database() \
             and application_name = $1 and state = 'idle' and query like '%next_batch%'",
            &[&JOB],
        )
        .expect("readable")
        .get(0);
    idle > 0
}
