//! Opening connections: tries hosts and addresses in turn until one offers the required encryption and session.

mod attempt;
mod canceller;
mod driver;
mod pinned;
mod refusals;
mod server_probe;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::ops::ControlFlow::{self, Break, Continue};

use postgres::Client;
use postgres::config::Host;

pub(crate) use self::attempt::Found;
use self::attempt::{Attempt, Place};
pub(crate) use self::canceller::Canceller;
use self::driver::Blocking;
pub(crate) use self::driver::Driver;
#[cfg(feature = "asynchronous")]
pub(crate) use self::pinned::check;
pub(crate) use self::pinned::{PATH, SearchPath, open_with};
use self::refusals::Refusals;
#[cfg(feature = "asynchronous")]
pub(crate) use self::server_probe::ANSWER_LIMIT;
pub(crate) use self::server_probe::ServerProbe;
use crate::database::conninfo::{Endpoint, SessionAttrs, Target};
use crate::error::{BoxError, Error};
use crate::ready::ready;

/// An open connection with its canceller.
pub(crate) struct Opened {
    pub(crate) client: Client,
    pub(crate) canceller: Canceller,
    pub(crate) probe: ServerProbe,
    /// Whether the session is known to be this connection's alone.
    pub(crate) has_own_session: bool,
}

/// Opens a connection to the first server that accepts it and offers the required session. Dead peers are detected
/// unless the connection string sets the time-outs.
///
/// # Errors
///
/// Fails if no server accepts the connection, with the reason of each one.
pub(crate) fn open(target: &Target) -> Result<Opened, Error> {
    let Found { client, protection, abort } = ready(find::<Blocking>(target))?;
    let canceller = Canceller::new(client.cancel_token(), protection);
    Ok(Opened { client, canceller, probe: ServerProbe::new(abort), has_own_session: false })
}

/// Opens a connection as [`open`] does, with any driver.
pub(crate) async fn find<D: Driver>(target: &Target) -> Result<Found<D>, Error> {
    let mut watched = target.clone();
    watched.dead_peer.apply(&mut watched.common);
    let target = &watched;
    let mut refusals = Refusals::default();
    for session in passes(target.session) {
        refusals = Refusals::default();
        match find_any(target, *session, &mut refusals).await {
            Break(Some(found)) => return Ok(found),
            Break(None) => break,
            Continue(()) => {}
        }
    }
    Err(refusals.into_error(target))
}

/// Returns the kinds of sessions to try, in order: `prefer-standby` tries a standby, and then any server.
fn passes(session: SessionAttrs) -> &'static [SessionAttrs] {
    match session {
        SessionAttrs::Any => &[SessionAttrs::Any],
        SessionAttrs::ReadWrite => &[SessionAttrs::ReadWrite],
        SessionAttrs::ReadOnly => &[SessionAttrs::ReadOnly],
        SessionAttrs::Primary => &[SessionAttrs::Primary],
        SessionAttrs::Standby => &[SessionAttrs::Standby],
        SessionAttrs::PreferStandby => &[SessionAttrs::Standby, SessionAttrs::Any],
    }
}

/// Tries all hosts. Returns `Break` with a connection, `Break` without one if a host ends the search, and `Continue` if
/// no host offers the session.
async fn find_any<D: Driver>(
    target: &Target,
    session: SessionAttrs,
    refusals: &mut Refusals,
) -> ControlFlow<Option<Found<D>>> {
    let mut endpoints: Vec<&Endpoint> = target.hosts.iter().collect();
    if target.shuffled {
        shuffle(&mut endpoints);
    }
    for endpoint in endpoints {
        let places = match places::<D>(endpoint, target.shuffled).await {
            Ok(places) => places,
            Err(error) => {
                refusals.add(endpoint, None, error);
                continue;
            }
        };
        let several = places.len() > 1;
        for place in &places {
            match (Attempt { target, session, endpoint, place }).open().await {
                Ok(found) => return Break(Some(found)),
                Err(error) => {
                    let tries_next = refusals::next_may_accept(&*error);
                    refusals.add(endpoint, Some(place).filter(|_| several), error);
                    if !tries_next {
                        return Break(None);
                    }
                }
            }
        }
    }
    Continue(())
}

/// Returns the addresses of a host.
async fn places<D: Driver>(endpoint: &Endpoint, shuffled: bool) -> Result<Vec<Place>, BoxError> {
    if let Some(address) = endpoint.hostaddr {
        let name = match &endpoint.host {
            // The driver would treat a name that begins with a slash as the folder of a socket.
            Host::Tcp(name) if !name.starts_with('/') => name.clone(),
            _ => address.to_string(),
        };
        return Ok(vec![Place::Address { name, address }]);
    }
    let name = match &endpoint.host {
        Host::Unix(folder) => return Ok(vec![Place::Socket(folder.clone())]),
        Host::Tcp(name) => name,
    };
    let failed = |error| Error::failed(format!("cannot find the address of `{name}`")).caused_by(error);
    let found = D::addresses(name, endpoint.port).await.map_err(failed)?;
    let mut found: Vec<Place> =
        found.into_iter().map(|address| Place::Address { name: name.clone(), address }).collect();
    if shuffled {
        shuffle(&mut found);
    }
    Ok(found)
}

/// Shuffles by random hashes: every `RandomState` has other keys.
fn shuffle<T>(items: &mut [T]) {
    items.sort_by_cached_key(|_| RandomState::new().hash_one(0));
}

#[cfg(all(test, not(feature = "tls")))]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;
    use crate::database::conninfo;
    use crate::error::describe;

    #[test]
    fn that_no_server_listens_is_the_whole_reason_in_a_build_without_encryption() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = listener.local_addr().expect("it listens").port();
        drop(listener);
        let target = conninfo::parse(&format!("host=127.0.0.1 port={port} user=x"), |_| None).expect("valid");
        let error = describe(&open(&target).err().expect("nothing listens"));
        assert!(error.contains("refused") && !error.contains("encrypt"), "{error}");
    }
}
