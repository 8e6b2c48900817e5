//! When a server that is silent counts as lost, where the connection string does not say.

use std::time::Duration;

use postgres::Config;

use super::options::Options;
use crate::error::Error;

/// How long a server may be silent, unless something else is set.
const LIMIT: Duration = Duration::from_secs(10);
/// A server that does not answer an attempt to connect for this long is given up.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How many probes of an idle connection stay without an answer before it counts as lost.
const PROBES: u32 = 3;

/// What a connection string leaves open about servers that vanish without a word, and the limit for that.
///
/// The server's machine answers as long as it is there: a statement may take as long as it likes.
#[derive(Clone, Debug)]
pub(crate) struct Silence {
    pub(crate) limit: Duration,
    connect: bool,
    unacknowledged: bool,
    idle: bool,
    interval: bool,
    count: bool,
}

impl Silence {
    /// Notes which keywords were given. A zero is, too: it leaves a limit to the system. Without keepalives, libpq sets
    /// no limit to unacknowledged data either.
    pub(super) fn read(options: &Options) -> Result<Silence, Error> {
        let open = |keyword: &str| options.get(keyword).is_none();
        let probed = options.integer("keepalives")? != Some(0);
        Ok(Silence {
            limit: LIMIT,
            connect: open("connect_timeout"),
            unacknowledged: probed && open("tcp_user_timeout"),
            idle: open("keepalives_idle"),
            interval: open("keepalives_interval"),
            count: open("keepalives_count"),
        })
    }

    /// Sets what was left open.
    pub(crate) fn notice(&self, config: &mut Config) {
        if self.connect {
            config.connect_timeout(CONNECT_LIMIT);
        }
        if self.unacknowledged {
            config.tcp_user_timeout(self.limit);
        }
        if self.idle {
            config.keepalives_idle(self.limit / 2);
        }
        if self.interval {
            config.keepalives_interval(self.limit / 5);
        }
        if self.count {
            config.keepalives_retries(PROBES);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the limits of a connection string, in seconds: to connect, unacknowledged, idle, interval; and the
    /// count.
    fn limits(text: &str) -> (Option<u64>, Option<u64>, u64, Option<u64>, Option<u32>) {
        let target = super::super::parse(text, |_| None).expect("understood");
        let mut config = target.common;
        target.silence.notice(&mut config);
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
    fn what_is_not_set_follows_the_limit() {
        assert_eq!(limits("dbname=x"), (Some(10), Some(10), 5, Some(2), Some(3)));
    }

    #[test]
    fn what_is_set_stays() {
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
