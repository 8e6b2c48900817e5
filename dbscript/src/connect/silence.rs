//! Servers that vanish without a word.

use std::time::Duration;

use postgres::Config;

/// A server that does not answer an attempt to connect for this long is given up.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How many probes of an idle connection stay without an answer before it counts as lost.
const PROBES: u32 = 3;

/// Lets a server that is silent for about `limit` be noticed, as far as the connection string does not say when.
///
/// The server's machine answers as long as it is there: a statement may take as long as it likes.
pub(crate) fn notice_silence(config: &mut Config, limit: Duration) {
    let unset = Config::new();
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_LIMIT);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(limit);
    }
    if config.get_keepalives_idle() == unset.get_keepalives_idle() {
        config.keepalives_idle(limit / 2);
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_interval(limit / 5);
    }
    if config.get_keepalives_retries().is_none() {
        config.keepalives_retries(PROBES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[test]
    fn what_is_not_set_follows_the_limit() {
        let mut config = Config::new();
        notice_silence(&mut config, LIMIT);
        let seconds = Duration::from_secs;
        assert_eq!(config.get_connect_timeout(), Some(&seconds(10)));
        assert_eq!(config.get_tcp_user_timeout(), Some(&seconds(10)));
        assert_eq!(config.get_keepalives_idle(), seconds(5));
        assert_eq!(config.get_keepalives_interval(), Some(seconds(2)));
        assert_eq!(config.get_keepalives_retries(), Some(3));
    }

    #[test]
    fn what_is_set_stays() {
        let mut config = Config::new();
        let long = Duration::from_secs(77);
        config.connect_timeout(long).tcp_user_timeout(long).keepalives_idle(long).keepalives_interval(long);
        config.keepalives_retries(9);
        notice_silence(&mut config, LIMIT);
        assert_eq!(config.get_connect_timeout(), Some(&long));
        assert_eq!(config.get_tcp_user_timeout(), Some(&long));
        assert_eq!(config.get_keepalives_idle(), long);
        assert_eq!(config.get_keepalives_interval(), Some(long));
        assert_eq!(config.get_keepalives_retries(), Some(9));
    }
}
