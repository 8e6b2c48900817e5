//! Datagrams over UDP.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use super::outage_report::OutageReport;
use super::{DeliveryResult, Receiver};

/// The largest datagram over IPv4, in bytes.
pub(crate) const MAX_DATAGRAM: usize = 65_507;
/// The time after which the host's name is resolved again.
const RESOLVE_INTERVAL: Duration = Duration::from_secs(60);
const SEND_LIMIT: Duration = Duration::from_secs(1);

type Resolve = Box<dyn FnMut() -> io::Result<Vec<SocketAddr>> + Send>;

/// Sends each message as one datagram, which may be lost without an error.
///
/// The host's name is resolved at the first message and again every minute. IPv4 is preferred, since the receivers for
/// Python's handlers listen on IPv4.
pub(crate) struct Udp {
    host: String,
    outages: OutageReport,
    resolve: Resolve,
    interval: Duration,
    resolved_at: Option<Instant>,
    address: Option<SocketAddr>,
    socket: Option<UdpSocket>,
}

impl Udp {
    pub(crate) fn new(host: &str, port: u16) -> Udp {
        let name = host.to_owned();
        let resolve = move || (name.as_str(), port).to_socket_addrs().map(Iterator::collect);
        Udp::with_resolver(host, Box::new(resolve), RESOLVE_INTERVAL)
    }

    fn with_resolver(host: &str, resolve: Resolve, interval: Duration) -> Udp {
        let (host, outages) = (host.to_owned(), OutageReport::default());
        Udp { host, outages, resolve, interval, resolved_at: None, address: None, socket: None }
    }

    /// Returns the receiver's address, which is the last one if the name cannot be resolved again.
    fn address(&mut self) -> Option<SocketAddr> {
        if self.address.is_none() || self.resolved_at.is_none_or(|at| at.elapsed() >= self.interval) {
            let host = &self.host;
            let found = (self.resolve)().unwrap_or_else(|error| {
                self.outages.report(|| format!("messages do not reach the log receiver `{host}`: {error}"));
                Vec::new()
            });
            let address = found.iter().find(|address| address.is_ipv4()).or(found.first()).copied();
            self.address = address.or(self.address);
            self.resolved_at = Some(Instant::now());
        }
        self.address
    }

    fn send(&mut self, address: SocketAddr, message: &[u8]) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) if socket.local_addr()?.is_ipv4() == address.is_ipv4() => socket,
            _ => open(address)?,
        };
        socket.send_to(message, address)?;
        self.socket = Some(socket);
        Ok(())
    }
}

impl Receiver<Vec<u8>> for Udp {
    /// Keeps messages only while the host's name does not resolve. After that, neither an error nor a success shows
    /// whether a datagram arrives.
    fn deliver(&mut self, message: &Vec<u8>) -> DeliveryResult {
        let Some(address) = self.address() else { return DeliveryResult::Away };
        match self.send(address, message) {
            Ok(()) => DeliveryResult::Done,
            Err(_) => DeliveryResult::Refused,
        }
    }
}

fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.set_write_timeout(Some(SEND_LIMIT))?;
    Ok(socket)
}

/// Cuts a text so that it takes at most `limit` bytes.
pub(crate) fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::backlog::flush;
    use crate::logging::skylog::outbox::Outbox;
    use crate::logging::testing::receive;

    #[test]
    fn a_datagram_reaches_every_kind_of_host() {
        for (listen, host) in [("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "localhost"), ("::1", "::1")] {
            let receiver = UdpSocket::bind((listen, 0)).expect("a port is free");
            let port = receiver.local_addr().expect("bound").port();
            let outbox = Outbox::new("udp", Udp::new(host, port));
            outbox.push(vec![b'x'; MAX_DATAGRAM]);
            assert_eq!(receive(&receiver).len(), MAX_DATAGRAM, "{host}");
        }
    }

    #[test]
    fn a_closed_port_is_tolerated_and_may_open_later() {
        let gone = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
        let address = gone.local_addr().expect("bound");
        drop(gone);
        let outbox = Outbox::new("udp", Udp::new("127.0.0.1", address.port()));
        for _ in 0..10 {
            outbox.push(b"lost".to_vec());
        }
        flush(&[&outbox]);
        let receiver = UdpSocket::bind(address).expect("the port is still free");
        outbox.push(b"found".to_vec());
        assert_eq!(receive(&receiver), b"found");
    }

    #[test]
    fn a_name_is_resolved_later_and_again() {
        let [old, new] = [0, 1].map(|_| UdpSocket::bind("127.0.0.1:0").expect("a port is free"));
        let [to_old, to_new] = [&old, &new].map(|socket| socket.local_addr().expect("bound"));
        let mut answers =
            vec![Ok(vec![to_new]), Err("resolver unreachable"), Ok(vec![to_old]), Err("unknown")];
        let resolve = move || answers.pop().expect("asked four times").map_err(io::Error::other);
        let mut udp = Udp::with_resolver("moving", Box::new(resolve), Duration::ZERO);
        let mut send = |text: &str| udp.deliver(&text.as_bytes().to_vec());
        assert_eq!(send("one"), DeliveryResult::Away);
        assert_eq!(send("one"), DeliveryResult::Done);
        assert_eq!(send("two"), DeliveryResult::Done);
        assert_eq!(send("three"), DeliveryResult::Done);
        assert_eq!(receive(&old), b"one");
        assert_eq!(receive(&old), b"two");
        assert_eq!(receive(&new), b"three");
    }

    #[test]
    fn a_cut_splits_no_character() {
        assert_eq!(cut("añb", 2), "a");
        assert_eq!(cut("añb", 3), "añ");
        assert_eq!(cut("añb", 9), "añb");
    }
}
