//! A service manager is notified of the ticker's state.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::*;
use crate::support::queues;

/// A socket as systemd has it.
struct Manager(UnixDatagram);

impl Manager {
    fn listen(job: &Job) -> Manager {
        let socket = UnixDatagram::bind(job.folder.path().join("notify")).expect("bound");
        socket.set_read_timeout(Some(Duration::from_secs(60))).expect("set");
        Manager(socket)
    }

    fn command(&self, job: &Job, server: &Server) -> Command {
        let mut command = job.command_on(server, &["ticker"]);
        // A watchdog that wants a sign of life so often gets one with each round that is one.
        command.env("NOTIFY_SOCKET", job.folder.path().join("notify")).env("WATCHDOG_USEC", "10");
        command
    }

    fn next(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.0.recv(&mut buffer).expect("the program says something in time");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    /// Takes messages until one holds a text, and returns that one.
    fn wait_for(&self, text: &str) -> String {
        loop {
            let message = self.next();
            if message.contains(text) {
                return message;
            }
        }
    }
}

#[test]
fn it_is_called_for_every_stage_and_each_successful_round() {
    let server = server();
    let mut client = server.client("postgres");
    queues::install(&mut client);
    create_eager(&mut client, "q");
    let job = Job::new(&server.conninfo("postgres"), "");
    let manager = Manager::listen(&job);
    let mut ticker = Running::start(&mut manager.command(&job, &server));
    assert!(manager.next().contains("READY=1"));
    manager.wait_for("STATUS=databases: 1 ticking, 0 standing by, 0 away");
    manager.wait_for("WATCHDOG=1");

    ticker.signal(Signal::SIGHUP);
    assert!(manager.wait_for("RELOADING=1").contains("MONOTONIC_USEC="));
    manager.wait_for("READY=1");

    drop(client);
    server.stop();
    manager.wait_for("STATUS=databases: 0 ticking, 0 standing by, 1 away");
    wait_for("failed rounds", || job.log().contains("Job job failed"));
    // A reload always sends a message, after a round. The messages of the last successful round may still arrive before
    // the first of them, none before the others.
    for is_first in [true, false, false] {
        ticker.signal(Signal::SIGHUP);
        loop {
            let message = manager.next();
            assert!(is_first || !message.contains("WATCHDOG"), "{message}");
            if message.contains("READY") {
                break;
            }
        }
    }
    server.start_again();
    manager.wait_for("WATCHDOG=1");

    ticker.signal(Signal::SIGINT);
    manager.wait_for("STOPPING=1");
    assert_eq!(ticker.wait(), Some(0));
}
