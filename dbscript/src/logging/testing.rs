//! Helpers for the tests of handlers.

use std::net::UdpSocket;
use std::time::Duration;

use chrono::{DateTime, Local};
use log::Level;

use super::entry::Entry;
use super::identity::Identity;

/// Returns an entry of 2007-10-19 18:59:59.968 UTC.
pub(super) fn entry(level: Level, message: &str) -> Entry<'_> {
    let created = DateTime::from_timestamp_millis(1_192_820_399_968).expect("a valid time");
    Entry { created: created.with_timezone(&Local), level, name: "run_sql", message }
}

pub(super) fn identity() -> Identity {
    Identity {
        job_name: "job".to_owned(),
        service_name: "run_sql".to_owned(),
        hostname: "db1".to_owned(),
        hostaddr: "192.0.2.1".to_owned(),
    }
}

/// Returns the next datagram.
pub(super) fn receive(socket: &UdpSocket) -> Vec<u8> {
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a limit");
    let mut buffer = vec![0; 70_000];
    let length = socket.recv(&mut buffer).expect("a datagram arrives");
    buffer.truncate(length);
    buffer
}
