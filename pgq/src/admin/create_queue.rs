//! Creating queues.

use dbscript::param::{NO_PARAMS, text};
use postgres::error::SqlState;
use postgres::{GenericClient, Transaction};

use crate::admin::name_locks;
use crate::error::{At, Error};
use crate::schema::search_path;

/// The number of orphaned queue tables, left by a dump without data, that creating a queue skips at most.
const MAX_ORPHANS: u32 = 10_000;

/// Creates a queue. Returns `false` when the queue exists already. PgQ: `pgq.create_queue`.
///
/// # Errors
///
/// When PgQ is not installed, when the name is empty, and when the server refuses.
pub fn create_queue(client: &mut impl GenericClient, queue: &str) -> Result<bool, Error> {
    if queue.is_empty() {
        return Err(Error::usage("a queue's name must not be empty"));
    }
    let what = "cannot create the queue";
    let failed = |error| At::queue(queue).failed(what, error);
    name_locks::change_queue(client, queue, what, |transaction| {
        let given_path = search_path::set_if_minimal(transaction).map_err(failed)?;
        let created = create(transaction, queue).map_err(|error| match error.code() {
            Some(&SqlState::UNIQUE_VIOLATION) => At::queue(queue).failed(
                format!(
                    "{what}: the sequence of queue ids is behind the ids in use; {}",
                    crate::admin::integrity::ADVICE
                ),
                error,
            ),
            _ => failed(error),
        })?;
        if created {
            reset_privileges(transaction, queue).map_err(failed)?;
        }
        search_path::restore(transaction, &given_path).map_err(failed)?;
        Ok(created)
    })
}

/// $1 queue. Returns 1 when the queue was created, 0 when it existed.
const CREATE_QUEUE: &str = "select pgq.create_queue($1)";

/// Creates a queue. A dump without data leaves tables without their queues; the extension's function fails once for
/// each of them, since it takes the next queue id and finds a table of that id.
fn create(transaction: &mut Transaction<'_>, queue: &str) -> Result<bool, postgres::Error> {
    for _ in 1..MAX_ORPHANS {
        let mut attempt = transaction.transaction()?;
        match attempt.query_typed_one(CREATE_QUEUE, &[text(&queue)]) {
            Ok(row) => {
                let created: i32 = row.get(0);
                attempt.commit()?;
                return Ok(created != 0);
            }
            Err(error) if error.code() == Some(&SqlState::DUPLICATE_TABLE) => attempt.rollback()?,
            Err(error) => return Err(error),
        }
    }
    let row = transaction.query_typed_one(CREATE_QUEUE, &[text(&queue)])?;
    Ok(row.get::<_, i32>(0) != 0)
}

/// Returns whether the extension is installed and this role may reset privileges on its tables.
const CAN_RESET: &str = "select exists (select from pg_catalog.pg_extension where extname = 'pgq') \
     and exists (select from pg_catalog.pg_proc where oid = pg_catalog.to_regprocedure('pgq._queue_rights(pg_catalog.text)')::pg_catalog.oid \
         and pg_catalog.has_function_privilege(oid, 'execute'))";

/// $1 queue.
const RESET_PRIVILEGES: &str = "select pgq._queue_rights($1)";

/// Resets the privileges on a new queue's tables, which default privileges may have changed. The own schema's
/// `pgq.create_queue` resets them itself.
fn reset_privileges(transaction: &mut Transaction<'_>, queue: &str) -> Result<(), postgres::Error> {
    if transaction.query_typed_one(CAN_RESET, NO_PARAMS)?.get(0) {
        transaction.query_typed(RESET_PRIVILEGES, &[text(&queue)])?;
    }
    Ok(())
}
