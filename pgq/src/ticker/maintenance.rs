//! Retry events and maintenance.

mod chores;
mod retries;

use crate::error::ErrorKind;
use crate::names::{bytes, from_bytes};
use dbscript::printable;
use log::warn;
use postgres::Client;
use postgres::types::Type;

pub(crate) use self::chores::{Chore, ChoreLoop};
pub use self::retries::retry_events;
use crate::error::Error;
use crate::names::{self, Name};
use crate::schema::{self, Trust, row_security};

/// Does the maintenance that is due, each operation in a transaction of its own: rotation of event tables,
/// vacuum of small ones, and what queues ask for. PgQ: `pgq.maint_operations`.
///
/// A function that a queue asks for runs with the rights of this role, so it is left out, with a warning, unless it
/// and its schema belong to this role, a superuser, or a role that has this one's rights.
///
/// Every other operation is tried; returns how many were done.
///
/// # Errors
///
/// When PgQ belongs to a role that could so use this one's rights
/// ([`ErrorKind::Untrusted`](crate::ErrorKind::Untrusted)); else the first failure, after the others were tried.
pub fn maintain(client: &mut Client) -> Result<u64, Error> {
    schema::require(client)?;
    schema::require_trusted(client, Trust::All)?;
    maintain_some(client, |_| true)
}

/// As [`maintain`], with the operations that `wanted` takes when their turn comes.
fn maintain_some(client: &mut Client, wanted: impl Fn(&Operation) -> bool) -> Result<u64, Error> {
    let mut done = 0;
    let mut first_failure = None;
    for operation in operations(client)? {
        // A function that returns more than 0 wants to be called again at once.
        let mut again = operation.is_trusted(client).unwrap_or_else(|error| {
            first_failure.get_or_insert(error);
            false
        });
        while again && wanted(&operation) {
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

/// Leaves the rotation of queues out that have a consumer at transaction ids that the server has not reached: it would
/// seem to be past every rotation.
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

/// Makes the columns of what maintenance is due: the function's name and argument, and both as SQL can call them; as
/// bytes.
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

/// What maintenance is due.
const MAINTENANCE: &str = operations!("pgq.maint_operations()");

/// What maintenance is due, as [`MAINTENANCE`], of PgQ alone.
const MAINTENANCE_ALONE: &str = operations!(
    "( \
         select 'pgq.maint_rotate_tables_step1', queue_name from pgq.queue \
             where queue_switch_step2 is not null and pg_catalog.now() operator(pg_catalog.>) \
                 (queue_switch_time operator(pg_catalog.+) queue_rotation_period) \
         union all select 'pgq.maint_rotate_tables_step2', null \
         union all select name, queue_name from pgq.queue cross join pg_catalog.unnest(queue_extra_maint) name \
         union all select 'vacuum', name from pgq.maint_tables_to_vacuum() name) due (func_name, func_arg)"
);

fn operations(client: &mut Client) -> Result<Vec<Operation>, Error> {
    let failed = |error| Error::failed("cannot find out what maintenance is due").caused_by(error);
    // The extension's function reads tables of these schemas, whosever they are.
    let statement = match schema::require_trusted(client, Trust::Node) {
        Ok(()) => MAINTENANCE,
        Err(error) if error.kind() == ErrorKind::Untrusted => {
            warn!("its maintenance is left out: {error}");
            MAINTENANCE_ALONE
        }
        Err(error) => return Err(error),
    };
    let rows = client.query_typed(statement, &[]).map_err(failed)?;
    row_security::require_all_visible(client)?;
    let operation = |row: &postgres::Row| Operation {
        name: row.get::<_, Name>(0).0,
        argument: row.get(1),
        function: row.get::<_, Name>(2).0,
        table: row.get::<_, Option<Name>>(3).map(|name| name.0),
    };
    Ok(rows.iter().map(operation).collect())
}

/// Something to do: a function to call, or a table to vacuum.
struct Operation {
    name: String,
    /// Bytes, which need not be text.
    argument: Option<Vec<u8>>,
    /// The name as SQL can call it.
    function: String,
    /// The argument as SQL can name it.
    table: Option<String>,
}

/// Makes the call of a function of maintenance, whose name is quoted already, with an argument as bytes.
fn maintain_statement(function: &str) -> String {
    format!("select {function}({})", from_bytes!("$1"))
}

impl Operation {
    fn is_vacuum(&self) -> bool {
        self.name.eq_ignore_ascii_case("vacuum")
    }

    fn is_rotation(&self) -> bool {
        self.name.starts_with("pgq.maint_rotate_tables_")
    }

    /// Returns whether it may be run with this role's rights; logs whose it is otherwise.
    fn is_trusted(&self, client: &mut Client) -> Result<bool, Error> {
        if self.is_vacuum() || self.name.starts_with("pgq.maint_") {
            return Ok(true);
        }
        match schema::require_trusted(client, Trust::Function(&self.name)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Untrusted => {
                let argument = names::shown(self.argument.as_deref().unwrap_or_default());
                warn!(
                    "maintenance `{}` of `{}` is left out: {error}",
                    printable(&self.name),
                    printable(&argument)
                );
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns whether it wants to be run again.
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
            let argument = names::shown(self.argument.as_deref().unwrap_or_default());
            Error::failed(format!("maintenance `{}` of `{argument}` failed", self.name)).caused_by(error)
        })?;
        // Whatever else a function returns means nothing.
        Ok(rows.first().is_some_and(|row| row.try_get::<_, i32>(0).is_ok_and(|more| more > 0)))
    }
}
