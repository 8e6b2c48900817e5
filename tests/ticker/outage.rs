//! Outages and failovers of the server.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::*;
use crate::support::queues;

/// Returns a server with a queue in its database `postgres`.
fn server_with_queue() -> Server {
    let server = server();
    let mut client = server.client("postgres");
    queues::install(&mut client);
    create_eager(&mut client, "q");
    server
}

#[test]
fn it_continues_after_a_crash_and_a_long_outage() {
    let server = server_with_queue();
    let job = Job::new(&server.conninfo("postgres"), "");
    // A failed round that repeats the previous one is logged at this level only.
    let mut ticker = Running::start(&mut job.command(&["-v", "ticker"]));
    wait_for_ticks(&mut server.client("postgres"), "q", 3);
    for _ in 0..2 {
        server.restart_immediate();
        wait_for_ticks(&mut server.client("postgres"), "q", 3);
    }
    server.stop();
    let failed = || job.log().matches("Job job failed").count();
    let before = failed();
    wait_for("a failed round", || failed() > before);
    server.start_again();
    wait_for_ticks(&mut server.client("postgres"), "q", 3);
    assert!(ticker.is_running());
}

#[test]
fn a_server_that_starts_late_is_waited_for() {
    let server = server_with_queue();
    server.stop();
    let job = Job::new(&server.conninfo("postgres"), "");
    let ticker = job.start();
    job.wait_for("continuing without a connection");
    wait_for("tries", || job.log().contains("Job job failed"));
    server.start_again();
    wait_for_ticks(&mut server.client("postgres"), "q", 3);
    drop(ticker);
    let lines = job.log().lines().filter(|line| line.contains("ERROR")).count();
    assert!(lines < 10, "{}", job.log());
}

#[test]
fn it_follows_a_failover() {
    let primary = server_with_queue();
    let standby = primary.start_standby().unwrap_or_else(|error| panic!("{error}"));
    let servers = [&primary, &standby];
    let folders = servers.map(|server| server.socket_dir().display().to_string()).join(",");
    let ports = servers.map(|server| server.port().to_string()).join(",");
    let conninfo =
        format!("host={folders} port={ports} user=postgres dbname=postgres target_session_attrs=read-write");
    let job = Job::new(&conninfo, "");
    let mut ticker = job.start();
    wait_for_ticks(&mut primary.client("postgres"), "q", 3);
    primary.stop();
    let mut client = standby.client("postgres");
    client.execute("select pg_promote()", &[]).expect("promoted");
    wait_for_ticks(&mut client, "q", 3);
    assert!(ticker.is_running());
}

/// Returns the keepalive timers, in seconds, of a process's connections to a port of this machine.
fn keepalives(pid: i32, port: u16) -> Vec<f64> {
    const ESTABLISHED: &str = "01";
    const KEEPALIVE: &str = "02";
    let table = fs::read_to_string(format!("/proc/{pid}/net/tcp")).expect("it runs");
    let mut timers = Vec::new();
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (kind, ticks) = fields[5].split_once(':').expect("kind and time");
        let is_ours = fields[2].ends_with(&format!(":{port:04X}"));
        if is_ours && fields[3] == ESTABLISHED && kind == KEEPALIVE {
            timers.push(f64::from(u32::from_str_radix(ticks, 16).expect("a number")) / 100.0);
        }
    }
    timers
}

#[test]
fn idle_connections_are_probed_by_keepalives() {
    let server = Server::builder().listen_localhost().start().unwrap_or_else(|error| panic!("{error}"));
    let mut client = server.client("postgres");
    queues::install(&mut client);
    create_eager(&mut client, "q");
    let conninfo = format!("host=127.0.0.1 port={} user=postgres dbname=postgres", server.port());
    let job = Job::new(&conninfo, "");
    let ticker = job.start();
    job.wait_for("ticking");
    let mut timers = Vec::new();
    wait_for("the timer of an idle connection", || {
        timers = keepalives(ticker.pid(), server.port());
        !timers.is_empty()
    });
    assert!(timers.iter().all(|timer| *timer <= 5.0), "{timers:?}");
}

#[test]
fn a_stalled_round_is_reported() {
    let server = server_with_queue();
    let mut client = server.client("postgres");
    // A statement may take as long as it likes, so a session that hangs within one keeps the ticker waiting.
    client
        .batch_execute(
            "create function public.slow() returns trigger language plpgsql as \
                 $$begin perform pg_catalog.pg_sleep(0.1); return new; end$$; \
             create trigger slow before insert on pgq.tick for each row execute function public.slow()",
        )
        .expect("created");
    let job = Job::new(&server.conninfo("postgres"), "");
    let mut ticker = Running::start(job.command(&["ticker"]).env("PGQ_TEST_TIMEOUTS", "short"));
    wait_for_ticks(&mut client, "q", 3);
    let sessions = "select pid from pg_stat_activity where application_name = 'job'";
    let pids: Vec<i32> =
        client.query(sessions, &[]).expect("readable").iter().map(|row| row.get(0)).collect();
    // One that has ended meanwhile needs no signal.
    let signal_all = |signal| {
        pids.iter().for_each(|pid| {
            let _ = kill(Pid::from_raw(*pid), signal);
        });
    };
    let ticking = "select count(*) > 0 from pg_stat_activity where pid = any ($1) and wait_event = 'PgSleep'";
    wait_for("a tick to be stopped", || {
        signal_all(Signal::SIGSTOP);
        let is_stopped: bool = client.query_one(ticking, &[&pids]).expect("readable").get(0);
        if !is_stopped {
            signal_all(Signal::SIGCONT);
        }
        is_stopped
    });
    job.wait_for("a round does not end");
    signal_all(Signal::SIGCONT);
    wait_for_ticks(&mut client, "q", 3);
    assert!(ticker.is_running());
    assert_eq!(job.log().matches("a round does not end").count(), 1, "{}", job.log());
}
