//! Servers behind a local socket that stop answering, or are none.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::greeting::{MEMORY, OK, message};
use super::*;
use crate::support::jobs::TestJob;
use crate::support::programs::Running;

/// A process of a server that is stopped until this is dropped.
struct Stopped(Pid);

impl Stopped {
    fn new(pid: i32) -> Stopped {
        let pid = Pid::from_raw(pid);
        kill(pid, Signal::SIGSTOP).expect("it runs");
        Stopped(pid)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // It may have ended by now.
        let _ = kill(self.0, Signal::SIGCONT);
    }
}

fn server() -> Server {
    Server::builder().start().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_kept_session_that_stops_responding_is_replaced() {
    let server = server();
    let mut client = database(&server, "kept");
    let greeter = Greeter::new(&server.conninfo("kept"), "loop_delay = 3600\n");
    let mut program = Running::start(&mut greeter.command());
    let _stopped = Stopped::new(wait_for_sleep(&mut client).kept);
    send(&mut client, 1);
    wait_for("the greeting", || greeted(&mut client) == 1);
    program.signal(Signal::SIGTERM);
    assert_eq!(program.wait(), Some(0));
}

#[test]
fn a_listening_session_that_stops_responding_is_replaced() {
    let server = server();
    let mut client = database(&server, "listening");
    let greeter = Greeter::new(&server.conninfo("listening"), "loop_delay = 3600\n");
    let mut program = Running::start(&mut greeter.command());
    let stopped = wait_for_sleep(&mut client).listening;
    let is_there = |client: &mut Client| {
        let sql = "select exists (select from pg_stat_activity where pid = $1)";
        client.query_one(sql, &[&stopped]).expect("readable").get::<_, bool>(0)
    };
    let stop = Stopped::new(stopped);
    greeter.wait_for("listening again");
    // The old session notices that its client has disconnected.
    drop(stop);
    wait_for("the end of the old one", || !is_there(&mut client));
    program.signal(Signal::SIGINT);
    assert_eq!(program.wait(), Some(0));
}

#[test]
fn a_server_that_accepts_and_does_not_respond_times_out() {
    let server = server();
    let conninfo = format!("{} connect_timeout=2", server.conninfo("postgres"));
    let postmaster = fs::read_to_string(server.data_dir().join("postmaster.pid")).expect("it runs");
    let postmaster = postmaster.lines().next().and_then(|pid| pid.parse().ok()).expect("a process");
    let job = TestJob::sql_at(&conninfo, "select 1");
    let stopped = Stopped::new(postmaster);
    let mut running = job.start(&["-v"]);
    job.wait_for("timed out");
    drop(stopped);
    job.wait_for("works again");
    running.signal(Signal::SIGINT);
    assert_eq!(running.wait(), Some(0));
}

#[test]
fn a_message_that_is_too_long_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let socket = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).expect("the folder is empty");
    thread::spawn(move || {
        for mut client in socket.incoming().flatten() {
            // The content of the client's request does not matter.
            let _ = client.read(&mut [0; 1024]);
            let zeros = vec![0; 1024 * 1024];
            // The client may disconnect at any time, which is the behaviour under test.
            let _ = client
                .write_all(&[OK, &message(b'S', 0x7fff_ffff, b"")].concat())
                .and_then(|()| (0..300).try_for_each(|_| client.write_all(&zeros)));
        }
    });
    let conninfo = format!("host={} user=x dbname=x", folder.path().display());
    let job = TestJob::sql_at(&conninfo, "select 1");
    let running = job.start(&["-v"]);
    job.wait_for("a message `S` of 2147483647 bytes");
    job.wait_for("failed again");
    assert!(running.memory() < MEMORY, "{} kB", running.memory());
}
