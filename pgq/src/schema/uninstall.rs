//! Removing PgQ, and what goes with it.

use std::fmt;

use postgres::GenericClient;
use postgres::types::{ToSql, Type};

use super::path;
use super::report::Kind;
use super::state::State;
use crate::{Error, sql};

/// What goes with schema `pgq` when it is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// How many queues there are.
    pub queues: u64,
    /// How many registrations of consumers there are.
    pub consumers: u64,
    /// The triggers on tables that make events, as `name on table`.
    pub triggers: Vec<String>,
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = |count: u64| if count == 1 { "" } else { "s" };
        let (queues, consumers) = (self.queues, self.consumers);
        write!(f, "{queues} queue{} with {consumers} consumer{}", s(queues), s(consumers))?;
        match &*self.triggers {
            [] => Ok(()),
            [one] => write!(f, " and the trigger {one}"),
            several => write!(f, " and the triggers {}", several.join(", ")),
        }
    }
}

/// Returns what would go with schema `pgq`; `None` when PgQ is not installed.
///
/// # Errors
///
/// When there is a schema `pgq` of another origin, and when the server fails.
pub fn contents(client: &mut impl GenericClient) -> Result<Option<Contents>, Error> {
    if installed(client)?.is_none() {
        return Ok(None);
    }
    let no_values: &[(&(dyn ToSql + Sync), Type)] = &[];
    let row = client
        .query_typed_one(sql::SCHEMA_CONTENTS, no_values)
        .map_err(|error| Error::failed("cannot look into schema `pgq`").caused_by(error))?;
    let count = |index| row.get::<_, i64>(index).unsigned_abs();
    Ok(Some(Contents { queues: count(0), consumers: count(1), triggers: row.get(2) }))
}

/// Removes PgQ with all queues, events and positions, the triggers that make events, the failed events, and
/// schema `pgq_coop`; in one transaction. Returns which PgQ it was, or `None` when there was none. The roles stay,
/// since other databases of the cluster may use them.
///
/// # Errors
///
/// When there is a schema `pgq` of another origin, and when the server refuses; nothing is changed then.
pub fn uninstall(client: &mut impl GenericClient) -> Result<Option<Kind>, Error> {
    let failed = |error| Error::failed("cannot remove schema `pgq`").caused_by(error);
    let mut transaction = client.transaction().map_err(failed)?;
    transaction.batch_execute(sql::LOCK_INSTALL).map_err(failed)?;
    let search_path = path::set(&mut transaction).map_err(failed)?;
    let Some(kind) = installed(&mut transaction)? else { return Ok(None) };
    if State::read(&mut transaction)?.has_own_coop() {
        transaction.batch_execute("drop schema pgq_coop cascade").map_err(failed)?;
    }
    transaction
        .batch_execute(match kind {
            Kind::Own => "drop schema pgq cascade",
            Kind::Extension => "drop extension pgq cascade",
        })
        .map_err(failed)?;
    path::restore(&mut transaction, &search_path).map_err(failed)?;
    transaction.commit().map_err(failed)?;
    Ok(Some(kind))
}

/// Tells which PgQ is installed, if one is.
fn installed(client: &mut impl GenericClient) -> Result<Option<Kind>, Error> {
    let state = State::read(client)?;
    if state.extension {
        Ok(Some(Kind::Extension))
    } else if state.own().is_some() {
        Ok(Some(Kind::Own))
    } else if state.occupied {
        Err(Error::failed("there is a schema `pgq` that neither the extension nor this program has made"))
    } else {
        Ok(None)
    }
}
