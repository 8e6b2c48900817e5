//! Removing PgQ, and what goes with it.

use std::fmt;

use dbscript::printable;
use log::warn;
use postgres::types::{ToSql, Type};
use postgres::{GenericClient, Transaction};

use super::report::Kind;
use super::state::State;
use super::{change, dependents, dependents_at_last, path, trust};
use crate::error::Error;
use crate::sql;

const WHAT: &str = "cannot remove schema `pgq`";

/// What goes with schema `pgq` when it is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contents {
    /// How many queues there are.
    pub queues: u64,
    /// How many registrations of consumers there are.
    pub consumers: u64,
    /// The triggers on tables that make events, as `name on table`.
    pub triggers: Vec<String>,
    /// What else depends on the schema and goes with it: views, functions, columns and the like, each as its kind
    /// and name.
    pub dependents: Vec<String>,
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = |count: u64| if count == 1 { "" } else { "s" };
        let (queues, consumers) = (self.queues, self.consumers);
        write!(f, "{queues} queue{} with {consumers} consumer{}", s(queues), s(consumers))?;
        match &*self.triggers {
            [] => {}
            [one] => write!(f, " and the trigger {one}")?,
            several => write!(f, " and the triggers {}", several.join(", "))?,
        }
        if self.dependents.is_empty() {
            return Ok(());
        }
        write!(f, ", and what depends on it: {}", printable(&self.dependents.join(", ")))
    }
}

/// Returns what would go with schema `pgq`; `None` when PgQ is not installed.
///
/// # Errors
///
/// When there is a schema `pgq` of another origin, and when the server fails.
pub fn contents(client: &mut impl GenericClient) -> Result<Option<Contents>, Error> {
    let failed = |error| Error::failed("cannot look into schema `pgq`").caused_by(error);
    let mut transaction = client.transaction().map_err(failed)?;
    transaction.batch_execute(sql::READ_COMMITTED).map_err(failed)?;
    path::set(&mut transaction).map_err(failed)?;
    trust::require(&mut transaction, "cannot look into schema `pgq`")?;
    if installed(&mut transaction)?.is_none() {
        return Ok(None);
    }
    let schemas = schemas(&mut transaction)?;
    let dependents = dependents(&mut transaction, schemas)?;
    read(&mut transaction, dependents).map(Some)
}

/// How much there is in schema `pgq`, and which triggers elsewhere use it.
const SCHEMA_CONTENTS: &str = "select (select pg_catalog.count(*) from pgq.queue), (select pg_catalog.count(*) from pgq.subscription), \
     array(select pg_catalog.format('`%s` on `%s`', tgname, tgrelid::pg_catalog.regclass) from pg_catalog.pg_trigger \
         join pg_catalog.pg_proc on pg_proc.oid = tgfoid join pg_catalog.pg_class on pg_class.oid = tgrelid \
         where pronamespace = 'pgq'::pg_catalog.regnamespace::pg_catalog.oid and relnamespace <> pronamespace \
         and not tgisinternal order by 1)";

fn read(transaction: &mut Transaction<'_>, dependents: Vec<String>) -> Result<Contents, Error> {
    let no_values: &[(&(dyn ToSql + Sync), Type)] = &[];
    let row = transaction
        .query_typed_one(SCHEMA_CONTENTS, no_values)
        .map_err(|error| Error::failed("cannot look into schema `pgq`").caused_by(error))?;
    let count = |index| row.get::<_, i64>(index).unsigned_abs();
    Ok(Contents { queues: count(0), consumers: count(1), triggers: row.get(2), dependents })
}

/// Returns which schemas are removed together.
fn schemas(client: &mut impl GenericClient) -> Result<&'static [&'static str], Error> {
    Ok(if State::read(client)?.has_own_coop() { &["pgq", "pgq_coop"] } else { &["pgq"] })
}

/// Removes PgQ with all queues, events and positions, the triggers that make events, the failed events, schema
/// `pgq_coop`, and whatever depends on any of them, which is logged; in one transaction. Returns which PgQ it was, or
/// `None` when there was none. The roles stay, since other databases of the cluster may use them.
///
/// # Errors
///
/// When there is a schema `pgq` of another origin, when something in it belongs to a role that could so make this one
/// run its code ([`trust_check`](super::trust_check)), and when the server refuses; nothing is changed then.
pub fn uninstall(client: &mut impl GenericClient) -> Result<Option<Kind>, Error> {
    let removed = remove(client, None)?;
    for dependent in removed.iter().flat_map(|(_, contents)| &contents.dependents) {
        warn!("schema `pgq`: {} depended on it and was removed too", printable(dependent));
    }
    Ok(removed.map(|(kind, _)| kind))
}

/// As [`uninstall`], of which it is known what goes with it; returns what that was in the end.
///
/// # Errors
///
/// As [`uninstall`], and when there is more by now than in `agreed`: a queue, a consumer, a trigger or something that
/// depends on the schema.
pub fn uninstall_of(
    client: &mut impl GenericClient,
    agreed: &Contents,
) -> Result<Option<(Kind, Contents)>, Error> {
    remove(client, Some(agreed))
}

fn remove(
    client: &mut impl GenericClient,
    agreed: Option<&Contents>,
) -> Result<Option<(Kind, Contents)>, Error> {
    let failed = |error| Error::failed(WHAT).caused_by(error);
    let (mut transaction, search_path) = change::begin(client, WHAT)?;
    let Some(kind) = installed(&mut transaction)? else { return Ok(None) };
    let schemas = schemas(&mut transaction)?;
    let agreed_on = agreed.map(|contents| &*contents.dependents);
    let dependents = dependents_at_last(&mut transaction, schemas, agreed_on)?;
    let contents = read(&mut transaction, dependents)?;
    if let Some(agreed) = agreed {
        agreed.require_no_more(&contents)?;
    }
    if schemas.contains(&"pgq_coop") {
        transaction.batch_execute("drop schema pgq_coop cascade").map_err(failed)?;
    }
    transaction
        .batch_execute(match kind {
            Kind::Own => "drop schema pgq cascade",
            Kind::Extension => "drop extension pgq cascade",
        })
        .map_err(failed)?;
    change::commit(transaction, &search_path).map_err(failed)?;
    Ok(Some((kind, contents)))
}

impl Contents {
    /// Fails when there is something by now that was not agreed on.
    fn require_no_more(&self, now: &Contents) -> Result<(), Error> {
        let new = now.triggers.iter().find(|trigger| !self.triggers.contains(trigger));
        match new {
            Some(trigger) => Err(Error::failed(format!("{WHAT}: the trigger {trigger} has come since"))),
            None if now.queues > self.queues => Err(Error::failed(format!("{WHAT}: a queue has come since"))),
            None if now.consumers > self.consumers => {
                Err(Error::failed(format!("{WHAT}: a consumer has come since")))
            }
            None => Ok(()),
        }
    }
}

/// Returns which PgQ is installed, if one is.
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
