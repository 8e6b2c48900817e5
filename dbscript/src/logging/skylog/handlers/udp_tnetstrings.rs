//! Tagged netstrings over UDP. Skytools: `skylog.UdpTNetStringsHandler`.

use std::fmt::Display;

use crate::logging::backlog::Backlog;
use crate::logging::entry::Entry;
use crate::logging::handlers::Handler;
use crate::logging::identity::Identity;
use crate::logging::level;
use crate::logging::skylog::outbox::Outbox;
use crate::logging::skylog::outbox::udp::{MAX_DATAGRAM, Udp, cut};

/// Room for a length, a tag and the separators.
const FRAME: usize = 16;

/// Sends each entry as one dictionary. A message is cut if the dictionary exceeds a datagram.
pub(crate) struct UdpTNetStrings {
    outbox: Outbox<Vec<u8>>,
    identity: Identity,
}

impl UdpTNetStrings {
    pub(crate) fn new(host: &str, port: u16, identity: Identity) -> UdpTNetStrings {
        UdpTNetStrings { outbox: Outbox::new("udp_tnetstrings", Udp::new(host, port)), identity }
    }
}

impl Handler for UdpTNetStrings {
    fn handle(&self, entry: &Entry<'_>, _text: &str) {
        let mut text = dictionary(entry, entry.message, &self.identity);
        if let Some(excess) = text.len().checked_sub(MAX_DATAGRAM) {
            let message = cut(entry.message, entry.message.len().saturating_sub(excess));
            text = dictionary(entry, message, &self.identity);
        }
        self.outbox.push(text.into_bytes());
    }

    fn backlog(&self) -> Option<&dyn Backlog> {
        Some(&self.outbox)
    }
}

/// Renders the fields in the order of Skytools.
fn dictionary(entry: &Entry<'_>, message: &str, identity: &Identity) -> String {
    let micros = entry.created.timestamp_micros() as f64;
    let mut fields = String::with_capacity(message.len() + 512);
    let mut put = |name: &str, value: &dyn Display, tag: char| {
        value_of(&mut fields, name, ',');
        value_of(&mut fields, &value.to_string(), tag);
    };
    put("created", &format_args!("{:?}", micros / 1e6), '^');
    put("exc_text", &"", '~');
    put("levelname", &level::name(entry.level), ',');
    put("levelno", &level::number(entry.level), '#');
    put("message", &message, ',');
    put("msecs", &format_args!("{:?}", f64::from(entry.created.timestamp_subsec_millis())), '^');
    put("name", &entry.name, ',');
    put("hostaddr", &identity.hostaddr, ',');
    put("hostname", &identity.hostname, ',');
    put("job_name", &identity.job_name, ',');
    put("service_name", &identity.service_name, ',');
    let mut all = String::with_capacity(fields.len() + FRAME);
    value_of(&mut all, &fields, '}');
    all
}

fn value_of(out: &mut String, value: &str, tag: char) {
    out.push_str(&value.len().to_string());
    out.push(':');
    out.push_str(value);
    out.push(tag);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::python::python;
    use crate::logging::testing::{entry, identity, receive};
    use log::Level;
    use std::net::UdpSocket;

    /// Decodes and prints the first argument, and prints whether encoding it again yields the same text.
    const DECODE: &str = "
import sys
from skytools import tnetstrings
sent = sys.argv[1].encode()
fields = tnetstrings.loads(sent)
print(fields)
print(tnetstrings.dumps(fields) == sent)
";

    #[test]
    fn skytools_decodes_an_entry() {
        let text = dictionary(&entry(Level::Warn, "größer"), "größer", &identity());
        let expected = "{'created': 1192820399.968, 'exc_text': None, 'levelname': 'WARNING', 'levelno': 30, \
                        'message': 'größer', 'msecs': 968.0, 'name': 'run_sql', 'hostaddr': '192.0.2.1', \
                        'hostname': 'db1', 'job_name': 'job', 'service_name': 'run_sql'}\nTrue\n";
        assert_eq!(python(DECODE, &[&text], "UTC"), expected);
    }

    #[test]
    fn a_long_message_is_cut_and_the_frame_stays_valid() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
        let port = socket.local_addr().expect("bound").port();
        let handler = UdpTNetStrings::new("127.0.0.1", port, identity());
        handler.handle(&entry(Level::Info, &"ü".repeat(50_000)), "");
        let received = String::from_utf8(receive(&socket)).expect("no split character");
        assert!((MAX_DATAGRAM - 8..=MAX_DATAGRAM).contains(&received.len()), "{}", received.len());
        let (length, rest) = received.split_once(':').expect("a length");
        assert_eq!(length.parse(), Ok(rest.len() - 1));
        assert!(rest.ends_with("7:run_sql,}"), "{rest}");
    }
}
