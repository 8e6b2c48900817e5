//! Due events and maintenance.

mod due_events;
mod event_keys;
mod scheduled;
mod task_loop;

use dbscript::printable;
use log::warn;
use postgres::Client;
use postgres::types::Type;

pub(crate) use self::due_events::deliver_counted;
pub use self::due_events::{deliver_delayed_events, insert_scheduled_events, retry_events};
pub(crate) use self::task_loop::{MaintenanceLoop, MaintenanceTask};
use crate::error::{Error, ErrorKind};
use crate::names::{self, Name, bytes, from_bytes};
use crate::schema::{self, Trust, row_security};

/// Runs the maintenance that is due and returns the number of operations done. PgQ: `pgq.maint_operations`.
///
/// The operations are the rotation of event tables, the vacuum of small tables, and the functions that queues list in
/// `queue_extra_maint`. Each runs in a transaction of its own. If one fails, the others still run. Also removes the keys of
/// [events once](crate::insert_event_once()) whose time is over.
///
/// Such a function runs with the rights of this role. Unless the function and its schema belong to this role, to a
/// superuser, or to a role that has this role's rights, it is skipped with a warning.
///
/// # Errors
///
/// When PgQ belongs to a role that could use this role's rights that way
/// ([`ErrorKind::Untrusted`](crate::ErrorKind::Untrusted)). Otherwise the first failure, after all operations were
/// tried.
pub fn maintain(client: &mut Client) -> Result<u64, Error> {
    schema::require(client)?;
    schema::require_trusted(client, Trust::All)?;
    let keys = event_keys::take_turns(client);
    let done = maintain_some(client, |_| true)?;
    keys.map(|()| done)
}

/// As [`maintain`], for the operations that `is_wanted` accepts.
fn maintain_some(
    client: &mut Client,
    is_wanted: impl Fn(&MaintenanceOperation) -> bool,
) -> Result<u64, Error> {
    let mut done = 0;
    let mut first_failure = None;
    for operation in operations(client)? {
        // A result above 0 means that the function has more to do.
        let mut again = operation.is_trusted(client).unwrap_or_else(|error| {
            first_failure.get_or_insert(error);
            false
        });
        while again && is_wanted(&operation) {
            match operation.run(client) {
                Ok(more) => {
                    done += 1;
                    again = more;
                }
                Err(error) => {
                    first_failure.get_or_insert(error);
                    again = false;
                }
            }
        }
    }
    first_failure.map_or(Ok(done), Err)
}

/// Omits the rotation of a queue with a consumer at a transaction id that the server has not reached: such a consumer
/// seems to have read every table.
macro_rules! rotation_is_safe {
    () => {
        " where func_name <> 'pgq.maint_rotate_tables_step1' or not exists ( \
             select from pgq.queue \
             join pgq.subscription on sub_queue = queue_id \
             join pgq.tick on tick_queue = sub_queue and tick_id = sub_last_tick \
             where queue_name = func_arg and pg_catalog.txid_snapshot_xmax(tick_snapshot) \
                 > pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()))"
    };
}

/// Makes the statement that returns the due operations, as bytes: the function's name and argument, and both as SQL
/// identifiers.
macro_rules! operations {
    ($from:expr) => {
        concat!(
            "select ",
            bytes!("func_name"),
            ", ",
            bytes!("func_arg"),
            ", ",
            bytes!("pgq.quote_fqname(func_name)"),
            ", ",
            bytes!("pgq.quote_fqname(func_arg)"),
            " from ",
            $from,
            rotation_is_safe!()
        )
    };
}

/// Returns the due operations.
const MAINTENANCE: &str = operations!("pgq.maint_operations()");

/// As [`MAINTENANCE`], for PgQ alone, without `pgq_node` and Londiste.
const MAINTENANCE_ALONE: &str = operations!(
    "( \
         select 'pgq.maint_rotate_tables_step1', queue_name from pgq.queue \
             where queue_switch_step2 is not null and pg_catalog.now() operator(pg_catalog.>) \
                 (queue_switch_time operator(pg_catalog.+) queue_rotation_period) \
         union all select 'pgq.maint_rotate_tables_step2', null \
         union all select name, queue_name from pgq.queue cross join pg_catalog.unnest(queue_extra_maint) name \
         union all select 'vacuum', name from pgq.maint_tables_to_vacuum() name) due (func_name, func_arg)"
);

fn operations(client: &mut Client) -> Result<Vec<MaintenanceOperation>, Error> {
    let failed = |error| Error::failed("cannot read the due maintenance operations").caused_by(error);
    // The extension's function also reads tables of the schemas `pgq_node` and `londiste`.
    let statement = match schema::require_trusted(client, Trust::Node) {
        Ok(()) => MAINTENANCE,
        Err(error) if error.kind() == ErrorKind::Untrusted => {
            warn!("its maintenance is skipped: {error}");
            MAINTENANCE_ALONE
        }
        Err(error) => return Err(error),
    };
    let rows = client.query_typed(statement, &[]).map_err(failed)?;
    row_security::require_all_visible(client)?;
    let operation = |row: &postgres::Row| MaintenanceOperation {
        name: row.get::<_, Name>(0).0,
        argument: row.get(1),
        function: row.get::<_, Name>(2).0,
        table: row.get::<_, Option<Name>>(3).map(|name| name.0),
    };
    Ok(rows.iter().map(operation).collect())
}

/// A function to call, or a table to vacuum.
struct MaintenanceOperation {
    name: String,
    /// Bytes that need not be valid text.
    argument: Option<Vec<u8>>,
    /// The name as an SQL identifier.
    function: String,
    /// The argument as an SQL identifier.
    table: Option<String>,
}

/// Makes the call of a maintenance function, whose name is already quoted, with an argument as bytes.
fn maintain_statement(function: &str) -> String {
    format!("select {function}({})", from_bytes!("$1"))
}

impl MaintenanceOperation {
    fn is_vacuum(&self) -> bool {
        self.name.eq_ignore_ascii_case("vacuum")
    }

    fn is_rotation(&self) -> bool {
        self.name.starts_with("pgq.maint_rotate_tables_")
    }

    /// Returns whether the operation may run with this role's rights; otherwise logs which role owns it.
    fn is_trusted(&self, client: &mut Client) -> Result<bool, Error> {
        if self.is_vacuum() || self.name.starts_with("pgq.maint_") {
            return Ok(true);
        }
        match schema::require_trusted(client, Trust::Function(&self.name)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Untrusted => {
                let argument = names::to_text(self.argument.as_deref().unwrap_or_default());
                warn!(
                    "maintenance `{}` of `{}` is skipped: {error}",
                    printable(&self.name),
                    printable(&argument)
                );
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Runs the operation; returns whether it has more to do.
    fn run(&self, client: &mut Client) -> Result<bool, Error> {
        let result = match &self.argument {
            _ if self.is_vacuum() => {
                let table = self.table.as_deref().unwrap_or_default();
                client.batch_execute(&format!("vacuum {table}")).map(|()| Vec::new())
            }
            Some(argument) => {
                client.query_typed(&maintain_statement(&self.function), &[(argument, Type::BYTEA)])
            }
            None => client.query_typed(&format!("select {}()", self.function), &[]),
        };
        let rows = result.map_err(|error| {
            let argument = names::to_text(self.argument.as_deref().unwrap_or_default());
            Error::failed(format!("maintenance `{}` of `{argument}` failed", self.name)).caused_by(error)
        })?;
        // Results of other types are ignored.
        Ok(rows.first().is_some_and(|row| row.try_get::<_, i32>(0).is_ok_and(|more| more > 0)))
    }
}
