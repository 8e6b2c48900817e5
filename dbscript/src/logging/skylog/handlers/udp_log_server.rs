//! JSON over UDP to a log server. Skytools: `skylog.UdpLogServerHandler`.

use log::Level;
use serde_json::json;

use crate::logging::backlog::Backlog;
use crate::logging::entry::Entry;
use crate::logging::handlers::Handler;
use crate::logging::identity::Identity;
use crate::logging::skylog::outbox::Outbox;
use crate::logging::skylog::outbox::udp::Udp;

/// The longest message in characters. Longer messages are cut.
const MAX_MESSAGE: usize = 1024;

/// Sends each entry as one JSON object.
pub(crate) struct UdpLogServer {
    outbox: Outbox<Vec<u8>>,
    identity: Identity,
}

impl UdpLogServer {
    pub(crate) fn new(host: &str, port: u16, identity: Identity) -> UdpLogServer {
        UdpLogServer { outbox: Outbox::new("udp_log_server", Udp::new(host, port)), identity }
    }
}

impl Handler for UdpLogServer {
    fn handle(&self, entry: &Entry<'_>, text: &str) {
        self.outbox.push(object(entry, text, &self.identity).into_bytes());
    }

    fn is_framed(&self) -> bool {
        true
    }

    fn backlog(&self) -> Option<&dyn Backlog> {
        Some(&self.outbox)
    }
}

fn object(entry: &Entry<'_>, text: &str, identity: &Identity) -> String {
    let object = json!({
        "logger": "skytools.UdpLogServer",
        "timestamp": entry.created.timestamp_millis(),
        "level": level_name(entry.level),
        "thread": null,
        "message": text.chars().take(MAX_MESSAGE).collect::<String>(),
        "properties": {
            "application": identity.job_name,
            "apptype": identity.service_name,
            "type": "sys",
            "hostname": identity.hostname,
            "hostaddr": identity.hostaddr,
        },
    });
    format!("{object}\n")
}

/// Returns the log server's name of a level. The server has no TRACE.
fn level_name(level: Level) -> &'static str {
    match level {
        Level::Error | Level::Trace => "ERROR",
        Level::Warn => "WARN",
        Level::Info => "INFO",
        Level::Debug => "DEBUG",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::testing::{entry, identity, receive};
    use std::net::UdpSocket;

    #[test]
    fn an_entry_with_any_text_arrives_as_valid_json() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
        let port = socket.local_addr().expect("bound").port();
        let mut identity = identity();
        identity.job_name = "jöb \"quoted\" \\".to_owned();
        let handler = UdpLogServer::new("127.0.0.1", port, identity);
        let text = format!("a \"b\"\n\t\u{1}{}", "ü".repeat(2000));
        handler.handle(&entry(Level::Warn, "not this"), &text);
        let received: serde_json::Value = serde_json::from_slice(&receive(&socket)).expect("valid JSON");
        let expected = json!({
            "logger": "skytools.UdpLogServer",
            "timestamp": 1_192_820_399_968_u64,
            "level": "WARN",
            "thread": null,
            "message": text.chars().take(1024).collect::<String>(),
            "properties": {
                "application": "jöb \"quoted\" \\",
                "apptype": "run_sql",
                "type": "sys",
                "hostname": "db1",
                "hostaddr": "192.0.2.1",
            },
        });
        assert_eq!(received, expected);
    }

    #[test]
    fn levels_are_those_of_the_log_server() {
        let names = [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace].map(level_name);
        assert_eq!(names, ["ERROR", "WARN", "INFO", "DEBUG", "ERROR"]);
    }
}
