//! Opening a connection: hosts and addresses in turn, until one gives the encryption and the session wanted.

mod attempt;
mod canceller;
mod lifeline;
mod pinned;
mod refusals;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::ToSocketAddrs;
use std::ops::ControlFlow::{self, Break, Continue};

use postgres::Client;
use postgres::config::Host;

use self::attempt::{Attempt, Place};
pub(crate) use self::canceller::Canceller;
pub(crate) use self::lifeline::Lifeline;
pub(crate) use self::pinned::{SearchPath, open_with};
use self::refusals::Refusals;
use crate::database::conninfo::{Endpoint, SessionAttrs, Target};
use crate::error::{BoxError, Error};

/// A client, and what cancels its statements.
pub(crate) struct Opened {
    pub(crate) client: Client,
    pub(crate) canceller: Canceller,
    pub(crate) lifeline: Lifeline,
}

/// Opens a connection, which can be cancelled, to the first server that takes it and offers the session that is wanted.
/// A server that vanishes without a word is noticed, as far as the connection string does not say otherwise.
///
/// # Errors
///
/// When there is none; tells what each one said.
pub(crate) fn open(target: &Target) -> Result<Opened, Error> {
    let mut watched = target.clone();
    watched.silence.notice(&mut watched.common);
    let target = &watched;
    let mut refusals = Refusals::default();
    for session in passes(target.session) {
        refusals = Refusals::default();
        match open_any(target, *session, &mut refusals) {
            Break(Some(opened)) => return Ok(opened),
            Break(None) => break,
            Continue(()) => {}
        }
    }
    Err(refusals.into_error(target))
}

/// A standby is preferred by looking for one, and then for anything.
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

/// Goes on when no host has what is wanted; breaks without a connection when one ends the search.
fn open_any(target: &Target, session: SessionAttrs, refusals: &mut Refusals) -> ControlFlow<Option<Opened>> {
    let mut endpoints: Vec<&Endpoint> = target.hosts.iter().collect();
    if target.shuffled {
        shuffle(&mut endpoints);
    }
    for endpoint in endpoints {
        let places = match places(endpoint, target.shuffled) {
            Ok(places) => places,
            Err(error) => {
                refusals.add(endpoint, None, error);
                continue;
            }
        };
        let several = places.len() > 1;
        for place in &places {
            match (Attempt { target, session, endpoint, place }).open() {
                Ok(opened) => return Break(Some(opened)),
                Err(error) => {
                    let go_on = refusals::next_may_accept(&*error);
                    refusals.add(endpoint, Some(place).filter(|_| several), error);
                    if !go_on {
                        return Break(None);
                    }
                }
            }
        }
    }
    Continue(())
}

/// Returns every address of a host.
fn places(endpoint: &Endpoint, shuffled: bool) -> Result<Vec<Place>, BoxError> {
    if let Some(address) = endpoint.hostaddr {
        let name = match &endpoint.host {
            // The driver would take it for a socket's folder, which is not what is connected to.
            Host::Tcp(name) if !name.starts_with('/') => name.clone(),
            _ => address.to_string(),
        };
        return Ok(vec![Place::Address { name, address }]);
    }
    let name = match &endpoint.host {
        Host::Unix(folder) => return Ok(vec![Place::Socket(folder.clone())]),
        Host::Tcp(name) => name,
    };
    let found = (name.as_str(), endpoint.port).to_socket_addrs();
    let found = found
        .map_err(|error| Error::failed(format!("cannot find the address of `{name}`")).caused_by(error))?;
    let mut found: Vec<Place> =
        found.map(|found| Place::Address { name: name.clone(), address: found.ip() }).collect();
    if shuffled {
        shuffle(&mut found);
    }
    Ok(found)
}

/// Every `RandomState` hashes in its own way.
fn shuffle<T>(items: &mut [T]) {
    items.sort_by_cached_key(|_| RandomState::new().hash_one(0));
}
