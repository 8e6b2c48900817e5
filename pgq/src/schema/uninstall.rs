//! Removing PgQ, and listing what the removal would delete.

use std::fmt;

use dbscript::param::{NO_PARAMS, text_array};
use dbscript::printable;
use log::warn;
use postgres::{GenericClient, Transaction};

use super::report::Kind;
use super::state::State;
use super::{change, dependents, lock_and_list_dependents, row_security, search_path, trust};
use crate::error::Error;
use crate::phrases::{count_of, joined};
use crate::sql;

const CANNOT_REMOVE: &str = "cannot remove schema `pgq`";

/// Everything that removing schema `pgq` deletes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contents {
    /// The number of queues.
    pub queues: u64,
    /// The number of registrations of consumers.
    pub consumers: u64,
    /// The number of events that wait for a retry.
    pub retry: u64,
    /// The number of failed events.
    pub failed: u64,
    /// The number of delayed events.
    pub delayed: u64,
    /// The number of schedules of recurring events.
    pub schedules: u64,
    /// The triggers that insert events, each as its name and its table.
    pub triggers: Vec<String>,
    /// The other objects that depend on the schema: views, functions, columns and so on, each as its kind and name.
    pub dependents: Vec<String>,
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let retained = [
            (self.retry, "retry event"),
            (self.failed, "failed event"),
            (self.delayed, "delayed event"),
            (self.schedules, "schedule"),
        ];
        let mut parts = vec![count_of(self.consumers, "consumer")];
        parts.extend(
            retained.iter().filter(|(count, _)| *count > 0).map(|(count, thing)| count_of(*count, thing)),
        );
        match &*self.triggers {
            [] => {}
            [one] => parts.push(format!("the trigger {one}")),
            several => parts.push(format!("the triggers {}", several.join(", "))),
        }
        write!(f, "{} with {}", count_of(self.queues, "queue"), joined(&parts))?;
        if self.dependents.is_empty() {
            return Ok(());
        }
        write!(f, ", and the dependent objects: {}", printable(&self.dependents.join(", ")))
    }
}

/// Returns what removing schema `pgq` would delete; `None` when PgQ is not installed.
///
/// # Errors
///
/// When there is a schema `pgq` of another origin, when row security hides rows, and when the server fails.
pub fn contents(client: &mut impl GenericClient) -> Result<Option<Contents>, Error> {
    let mut transaction = client.transaction().map_err(unreadable)?;
    transaction.batch_execute(sql::READ_COMMITTED).map_err(unreadable)?;
    search_path::set(&mut transaction).map_err(unreadable)?;
    trust::require(&mut transaction, "cannot read the contents of schema `pgq`")?;
    if installed(&mut transaction)?.is_none() {
        return Ok(None);
    }
    let schemas = schemas(&mut transaction)?;
    let dependents = dependents(&mut transaction, schemas)?;
    read(&mut transaction, dependents).map(Some)
}

/// Returns the numbers of queues and registrations, and the triggers outside of schema `pgq` that use its functions.
const SCHEMA_CONTENTS: &str = "select (select pg_catalog.count(*) from pgq.queue), (select pg_catalog.count(*) from pgq.subscription), \
     array(select pg_catalog.format('`%s` on `%s`', tgname, tgrelid::pg_catalog.regclass) from pg_catalog.pg_trigger \
         join pg_catalog.pg_proc on pg_proc.oid = tgfoid join pg_catalog.pg_class on pg_class.oid = tgrelid \
         where pronamespace = 'pgq'::pg_catalog.regnamespace::pg_catalog.oid and relnamespace <> pronamespace \
         and not tgisinternal order by 1)";

/// The tables of retry events, failed events, delayed events and schedules.
const RETAINING_TABLES: [&str; 4] = ["retry_queue", "failed_queue", "delayed_queue", "scheduled_event"];

/// $1 names of tables in schema `pgq`. Returns for each one whether it exists and this role may read it, and the names
/// of those whose rows row security hides.
const READABLE: &str = "with tables as (select name, position, pg_catalog.to_regclass('pgq.' || name)::pg_catalog.oid as id \
         from pg_catalog.unnest($1) with ordinality as given (name, position)) \
     select array(select coalesce(pg_catalog.has_table_privilege(id, 'select'::pg_catalog.text), false) \
             from tables order by position), \
         (select pg_catalog.string_agg('pgq.' || name, ', '::pg_catalog.text) from tables \
             where pg_catalog.row_security_active(id))";

fn unreadable(error: postgres::Error) -> Error {
    Error::failed("cannot read the contents of schema `pgq`").caused_by(error)
}

fn read(transaction: &mut Transaction<'_>, dependents: Vec<String>) -> Result<Contents, Error> {
    row_security::require_all_visible(transaction)?;
    let row = transaction.query_typed_one(SCHEMA_CONTENTS, NO_PARAMS).map_err(unreadable)?;
    let [retry, failed, delayed, schedules] = count_retained(transaction)?;
    let count = |index| row.get::<_, i64>(index).unsigned_abs();
    let (queues, consumers, triggers) = (count(0), count(1), row.get(2));
    Ok(Contents { queues, consumers, retry, failed, delayed, schedules, triggers, dependents })
}

/// Returns the number of rows of each of the [`RETAINING_TABLES`]; 0 for those that this role may not read.
///
/// # Errors
///
/// When row security hides rows, which a confirmation would leave out.
fn count_retained(transaction: &mut Transaction<'_>) -> Result<[u64; 4], Error> {
    let tables = RETAINING_TABLES.as_slice();
    let rights = transaction.query_typed_one(READABLE, &[text_array(&tables)]).map_err(unreadable)?;
    row_security::require_visible(rights.get(1))?;
    let counts =
        tables.iter().zip(rights.get::<_, Vec<bool>>(0)).map(|(table, is_readable)| match is_readable {
            true => format!("(select pg_catalog.count(*) from pgq.{table})"),
            false => "0::pg_catalog.int8".to_owned(),
        });
    let counts = format!("select {}", counts.collect::<Vec<_>>().join(", "));
    let row = transaction.query_typed_one(&counts, NO_PARAMS).map_err(unreadable)?;
    Ok([0, 1, 2, 3].map(|column| row.get::<_, i64>(column).unsigned_abs()))
}

/// Returns the schemas that are removed together.
fn schemas(client: &mut impl GenericClient) -> Result<&'static [&'static str], Error> {
    Ok(if State::read(client)?.has_own_coop() { &["pgq", "pgq_coop"] } else { &["pgq"] })
}

/// Removes PgQ in one transaction: queues, events, positions, failed events, triggers that insert events, schema
/// `pgq_coop`, and all objects that depend on any of these. Logs each dependent object. Returns the kind of PgQ that
/// was removed, or `None` when none was installed. The roles stay, since other databases of the cluster may use them.
///
/// # Errors
///
/// - Schema `pgq` is of another origin.
/// - An object in it belongs to a role that could thereby make this role run its code
///   ([`trust_check`](super::trust_check)).
/// - Row security hides rows from this role.
/// - The server refuses.
///
/// Nothing is changed then.
pub fn uninstall(client: &mut impl GenericClient) -> Result<Option<Kind>, Error> {
    let removed = remove(client, None)?;
    for dependent in removed.iter().flat_map(|(_, contents)| &contents.dependents) {
        warn!("schema `pgq`: {} depended on it and was removed too", printable(dependent));
    }
    Ok(removed.map(|(kind, _)| kind))
}

/// Removes PgQ as [`uninstall`] does, provided that it contains no more than `confirmed`, whose removal an operator has
/// confirmed. Returns what was removed.
///
/// # Errors
///
/// As [`uninstall`], and when another queue, consumer, trigger or dependent object was added since.
pub fn uninstall_confirmed(
    client: &mut impl GenericClient,
    confirmed: &Contents,
) -> Result<Option<(Kind, Contents)>, Error> {
    remove(client, Some(confirmed))
}

fn remove(
    client: &mut impl GenericClient,
    confirmed: Option<&Contents>,
) -> Result<Option<(Kind, Contents)>, Error> {
    let failed = |error| Error::failed(CANNOT_REMOVE).caused_by(error);
    let (mut transaction, given_path) = change::begin(client, CANNOT_REMOVE)?;
    let Some(kind) = installed(&mut transaction)? else { return Ok(None) };
    let schemas = schemas(&mut transaction)?;
    let confirmed_dependents = confirmed.map(|contents| &*contents.dependents);
    let dependents = lock_and_list_dependents(&mut transaction, schemas, confirmed_dependents)?;
    let contents = read(&mut transaction, dependents)?;
    if let Some(confirmed) = confirmed {
        confirmed.require_no_more(&contents)?;
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
    change::commit(transaction, &given_path).map_err(failed)?;
    Ok(Some((kind, contents)))
}

impl Contents {
    /// Fails when `now` contains an object that `self` does not.
    fn require_no_more(&self, now: &Contents) -> Result<(), Error> {
        let new = now.triggers.iter().find(|trigger| !self.triggers.contains(trigger));
        match new {
            Some(trigger) => {
                Err(Error::failed(format!("{CANNOT_REMOVE}: trigger {trigger} was created since")))
            }
            None if now.queues > self.queues => {
                Err(Error::failed(format!("{CANNOT_REMOVE}: a queue was created since")))
            }
            None if now.consumers > self.consumers => {
                Err(Error::failed(format!("{CANNOT_REMOVE}: a consumer was registered since")))
            }
            None => Ok(()),
        }
    }
}

/// Returns the installed kind of PgQ, or `None` when none is installed.
fn installed(client: &mut impl GenericClient) -> Result<Option<Kind>, Error> {
    let state = State::read(client)?;
    if state.extension {
        Ok(Some(Kind::Extension))
    } else if state.own().is_some() {
        Ok(Some(Kind::Own))
    } else if state.occupied {
        Err(Error::failed("schema `pgq` was created by neither the extension nor this program"))
    } else {
        Ok(None)
    }
}
