//! The tickers of a database, by their locks.

use std::fmt;

use serde::Serialize;

use crate::lock::{LockHolder, TickerLocks};

/// A session of a ticker: the leader's, or one that stands by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TickerSession {
    /// Whether the ticker ticks. If a session whose role may not tick holds the leader's lock, every ticker does.
    #[serde(rename = "leader")]
    pub is_leader: bool,
    /// Its session. The age of a leader is the time since it took over, that of a standby the time since its last
    /// statement.
    #[serde(flatten)]
    pub session: LockHolder,
}

impl fmt::Display for TickerSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = if self.is_leader { "Ticker" } else { "Standby" };
        write!(f, "{role}: {}", self.session)
    }
}

/// Returns the tickers among the sessions that hold locks of tickers, the leader first. Any role that can connect can
/// take these locks; a role that may not tick is not listed.
pub(super) fn tickers(sessions: &[TickerLocks]) -> Vec<TickerSession> {
    let entitled = || sessions.iter().filter(|session| session.holder.is_entitled);
    let is_held = sessions.iter().any(|session| session.is_leader);
    let all_tick = is_held && !entitled().any(|session| session.is_leader);
    let mut tickers: Vec<_> = entitled()
        .filter(|session| session.is_leader || session.is_standby)
        .map(|session| TickerSession {
            is_leader: session.is_leader || all_tick,
            session: session.holder.clone(),
        })
        .collect();
    tickers.sort_by_key(|ticker| !ticker.is_leader);
    tickers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(pid: i32, [is_leader, is_standby, is_entitled]: [bool; 3]) -> TickerLocks {
        let holder = LockHolder { pid: Some(pid), is_entitled, ..LockHolder::default() };
        TickerLocks { holder, is_leader, is_standby, delays_ticks: is_leader }
    }

    fn listed(sessions: &[TickerLocks]) -> Vec<(Option<i32>, bool)> {
        tickers(sessions).iter().map(|ticker| (ticker.session.pid, ticker.is_leader)).collect()
    }

    #[test]
    fn the_leader_is_listed_before_its_standbys() {
        let standby = holds(1, [false, true, true]);
        let was_standby = holds(2, [true, true, true]);
        let stranger = holds(3, [false, true, false]);
        assert_eq!(listed(&[standby, was_standby, stranger]), [(Some(2), true), (Some(1), false)]);
        assert!(listed(&[]).is_empty());
    }

    #[test]
    fn without_an_entitled_holder_every_ticker_ticks() {
        let tickers = || [1, 2].map(|pid| holds(pid, [false, true, true]));
        let [first, second] = tickers();
        let stranger = holds(3, [true, false, false]);
        assert_eq!(listed(&[first, second, stranger]), [(Some(1), true), (Some(2), true)]);
        let [first, second] = tickers();
        assert_eq!(listed(&[first, second]), [(Some(1), false), (Some(2), false)], "nobody holds the lock");
    }
}
