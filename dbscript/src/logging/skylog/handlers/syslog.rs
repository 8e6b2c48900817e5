//! Syslog in the format of Python: `<priority>`, text and NUL, without time and tag.

use std::path::PathBuf;

use log::Level;

use super::facility::Facility;
use crate::logging::backlog::Backlog;
use crate::logging::entry::Entry;
use crate::logging::handlers::Handler;
use crate::logging::identity::Identity;
use crate::logging::skylog::outbox::Outbox;
use crate::logging::skylog::outbox::udp::{MAX_DATAGRAM, Udp, cut};
use crate::logging::skylog::outbox::unix_socket::UnixSocket;
use crate::text::printable::one_line;

/// The address of syslogd.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SysLogAddress {
    /// A local socket, such as `/dev/log`.
    Unix(PathBuf),
    /// Host and port.
    Udp(String, u16),
}

/// Sends each entry to syslogd.
///
/// Skytools: `skylog.SysLogHandler`, or with host and service before the text, `skylog.SysLogHostnameHandler`.
pub(crate) struct SysLog {
    outbox: Outbox<Vec<u8>>,
    facility: Facility,
    origin: String,
}

impl SysLog {
    /// Creates a handler; with `hostname`, host and service precede each text.
    pub(crate) fn new(
        address: SysLogAddress,
        facility: Facility,
        hostname: bool,
        identity: Identity,
    ) -> SysLog {
        let outbox = match address {
            SysLogAddress::Unix(path) => Outbox::new("syslog", UnixSocket::new(path)),
            SysLogAddress::Udp(host, port) => Outbox::new("syslog", Udp::new(&host, port)),
        };
        let origin = match hostname {
            true => one_line(&format!(" {} {} ", identity.hostname, identity.service_name)).into_owned(),
            false => String::new(),
        };
        SysLog { outbox, facility, origin }
    }

    fn message(&self, level: Level, text: &str) -> Vec<u8> {
        let mut message = format!("<{}>{}", self.facility.priority(severity(level)), self.origin);
        message.push_str(cut(text, MAX_DATAGRAM.saturating_sub(message.len() + 1)));
        message.push('\0');
        message.into_bytes()
    }
}

impl Handler for SysLog {
    fn handle(&self, entry: &Entry<'_>, text: &str) {
        self.outbox.push(self.message(entry.level, text));
    }

    fn backlog(&self) -> Option<&dyn Backlog> {
        Some(&self.outbox)
    }
}

/// Returns the severity of a level. Python's handler sends levels without a severity, such as TRACE, as warnings.
fn severity(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn | Level::Trace => 4,
        Level::Info => 6,
        Level::Debug => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::backlog::flush;
    use crate::logging::testing::{entry, identity, receive};
    use std::io::{BufRead, BufReader};
    use std::net::UdpSocket;
    use std::os::unix::net::{UnixDatagram, UnixListener};
    use std::time::Duration;
    use std::{fs, thread};

    fn local(folder: &tempfile::TempDir) -> (SysLog, PathBuf) {
        let path = folder.path().join("log");
        let address = SysLogAddress::Unix(path.clone());
        (SysLog::new(address, Facility::default(), false, identity()), path)
    }

    fn send(handler: &SysLog, text: &str) {
        handler.handle(&entry(Level::Info, "not this"), text);
    }

    fn next(socket: &UnixDatagram) -> String {
        socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a limit");
        let mut buffer = vec![0; 70_000];
        let length = socket.recv(&mut buffer).expect("a datagram arrives");
        String::from_utf8(buffer[..length].to_vec()).expect("UTF-8")
    }

    #[test]
    fn a_message_has_priority_text_and_nul() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
        let port = socket.local_addr().expect("bound").port();
        let check = |facility, hostname, level, expected: &str| {
            let address = SysLogAddress::Udp("127.0.0.1".to_owned(), port);
            let handler = SysLog::new(address, facility, hostname, identity());
            handler.handle(&entry(level, "not this"), "größe\n2");
            assert_eq!(String::from_utf8_lossy(&receive(&socket)), expected);
        };
        let user = Facility::default();
        check(user, false, Level::Error, "<11>größe\n2\0");
        check(user, false, Level::Warn, "<12>größe\n2\0");
        check(user, false, Level::Info, "<14>größe\n2\0");
        check(user, false, Level::Debug, "<15>größe\n2\0");
        check(user, false, Level::Trace, "<12>größe\n2\0");
        let local0 = Facility::from_name("local0").expect("known");
        check(local0, true, Level::Info, "<134> db1 run_sql größe\n2\0");
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_and_still_ends_in_nul() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (handler, path) = local(&folder);
        let socket = UnixDatagram::bind(path).expect("the folder is empty");
        send(&handler, &"ü".repeat(100_000));
        let text = next(&socket);
        assert!(text.starts_with("<14>ü") && text.ends_with("ü\0"));
        assert!((MAX_DATAGRAM - 1..=MAX_DATAGRAM).contains(&text.len()), "{}", text.len());
    }

    #[test]
    fn a_restarted_syslogd_receives_the_messages_of_its_downtime() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (handler, path) = local(&folder);
        let socket = UnixDatagram::bind(&path).expect("the folder is empty");
        send(&handler, "one");
        assert_eq!(next(&socket), "<14>one\0");
        drop(socket);
        fs::remove_file(&path).expect("it was there");
        send(&handler, "two");
        flush(&[&handler.outbox]);
        send(&handler, "three");
        let socket = UnixDatagram::bind(&path).expect("the path is free again");
        assert_eq!(next(&socket), "<14>two\0");
        assert_eq!(next(&socket), "<14>three\0");
    }

    #[test]
    fn a_stream_socket_receives_all_messages_and_may_restart() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (handler, path) = local(&folder);
        for _ in 0..2 {
            let listener = UnixListener::bind(&path).expect("the path is free");
            send(&handler, "one");
            send(&handler, "two");
            let mut stream = BufReader::new(listener.accept().expect("it connects").0);
            for expected in ["<14>one\0", "<14>two\0"] {
                let mut text = Vec::new();
                stream.read_until(0, &mut text).expect("readable");
                assert_eq!(String::from_utf8_lossy(&text), expected);
            }
            drop((listener, stream));
            fs::remove_file(&path).expect("it was there");
        }
    }

    #[test]
    fn a_stalled_receiver_blocks_no_caller_and_receives_the_latest_messages() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (handler, path) = local(&folder);
        let socket = UnixDatagram::bind(path).expect("the folder is empty");
        for number in 0..100_000 {
            send(&handler, &format!("message {number}"));
        }
        flush(&[&handler.outbox]);
        let reader = thread::spawn(move || while next(&socket) != "<14>message 99999\0" {});
        reader.join().expect("the last message arrives");
    }
}
