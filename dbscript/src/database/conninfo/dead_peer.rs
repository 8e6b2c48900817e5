//! Detection of dead peers: default time-outs for servers that stop responding.

use std::time::Duration;

use tokio_postgres::Config;

use super::options::Options;
use crate::error::Error;

/// The default time after which a server that does not respond is considered dead.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The default of `connect_timeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The number of unanswered keepalives after which an idle connection is considered lost.
const PROBES: u32 = 3;

/// The time-outs for dead peers that a connection string does not set, and their default.
///
/// The kernel of the server's machine answers these probes, so the time-outs do not limit the duration of statements.
#[derive(Clone, Debug)]
pub(crate) struct DeadPeerDetection {
    pub(crate) timeout: Duration,
    connect: bool,
    unacknowledged: bool,
    idle: bool,
    interval: bool,
    count: bool,
}

impl DeadPeerDetection {
    /// Finds the keywords that are not given. A value of zero counts as given and means the default of the operating
    /// system. With `keepalives=0`, libpq sets no `tcp_user_timeout` either.
    pub(super) fn read(options: &Options) -> Result<DeadPeerDetection, Error> {
        let is_unset = |keyword: &str| options.get(keyword).is_none();
        let probed = options.integer("keepalives")? != Some(0);
        Ok(DeadPeerDetection {
            timeout: TIMEOUT,
            connect: is_unset("connect_timeout"),
            unacknowledged: probed && is_unset("tcp_user_timeout"),
            idle: is_unset("keepalives_idle"),
            interval: is_unset("keepalives_interval"),
            count: is_unset("keepalives_count"),
        })
    }

    /// Sets the time-outs that the connection string does not set.
    pub(crate) fn apply(&self, config: &mut Config) {
        if self.connect {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if self.unacknowledged {
            config.tcp_user_timeout(self.timeout);
        }
        if self.idle {
            config.keepalives_idle(self.timeout / 2);
        }
        if self.interval {
            config.keepalives_interval(self.timeout / 5);
        }
        if self.count {
            config.keepalives_retries(PROBES);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the time-outs of a connection string in seconds (connect, unacknowledged data, idle, interval), and the
    /// number of keepalives.
    fn limits(text: &str) -> (Option<u64>, Option<u64>, u64, Option<u64>, Option<u32>) {
        let target = super::super::parse(text, |_| None).expect("valid");
        let mut config = target.common;
        target.dead_peer.apply(&mut config);
        let seconds = |limit: Option<&Duration>| limit.map(Duration::as_secs);
        (
            seconds(config.get_connect_timeout()),
            seconds(config.get_tcp_user_timeout()),
            config.get_keepalives_idle().as_secs(),
            config.get_keepalives_interval().as_ref().map(Duration::as_secs),
            config.get_keepalives_retries(),
        )
    }

    #[test]
    fn unset_keywords_follow_the_time_out() {
        assert_eq!(limits("dbname=x"), (Some(10), Some(10), 5, Some(2), Some(3)));
    }

    #[test]
    fn given_keywords_are_kept() {
        let all = "connect_timeout=77 tcp_user_timeout=77000 keepalives_idle=77 keepalives_interval=77 \
                   keepalives_count=9";
        assert_eq!(limits(all), (Some(77), Some(77), 77, Some(77), Some(9)));
        let system = "connect_timeout=0 tcp_user_timeout=0 keepalives_idle=0 keepalives_interval=0 \
                      keepalives_count=0";
        assert_eq!(limits(system), (None, None, 7200, None, None));
        assert_eq!(limits("keepalives=0").1, None);
        assert_eq!(limits("keepalives_idle=7200").2, 7200);
    }
}
