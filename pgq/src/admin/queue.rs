//! Creating queues.

use postgres::error::SqlState;
use postgres::types::{ToSql, Type};
use postgres::{GenericClient, Transaction};

use crate::admin::exclusive;
use crate::error::Error;
use crate::schema;

/// So many queues at most of a dump without data are stepped over when one is created.
const LEFT_BEHIND: u32 = 10_000;

/// Creates a queue; returns `false` when it was there already. PgQ: `pgq.create_queue`.
///
/// # Errors
///
/// When PgQ is not installed, when the name is empty, and when the server refuses.
pub fn create_queue(client: &mut impl GenericClient, queue: &str) -> Result<bool, Error> {
    if queue.is_empty() {
        return Err(Error::usage("a queue's name must not be empty"));
    }
    let what = "cannot create the queue";
    let failed = |error| Error::failed(what).on_queue(queue).caused_by(error);
    exclusive::of_queue(client, queue, what, |transaction| {
        let search_path = schema::path::open(transaction).map_err(failed)?;
        let created = create(transaction, queue).map_err(|error| match error.code() {
            Some(&SqlState::UNIQUE_VIOLATION) => Error::failed(format!(
                "{what}: the sequence of queue ids is behind those in use; {}",
                crate::admin::integrity::ADVICE
            ))
            .on_queue(queue)
            .caused_by(error),
            _ => failed(error),
        })?;
        if created {
            set_rights(transaction, queue).map_err(failed)?;
        }
        schema::path::restore(transaction, &search_path).map_err(failed)?;
        Ok(created)
    })
}

/// $1 queue. Returns 1 when it was created, 0 when it was there.
const CREATE_QUEUE: &str = "select pgq.create_queue($1)";

/// Creates a queue. A dump without data leaves tables without queues, and the extension runs into each of them once.
fn create(transaction: &mut Transaction<'_>, queue: &str) -> Result<bool, postgres::Error> {
    for _ in 1..LEFT_BEHIND {
        let mut attempt = transaction.transaction()?;
        match attempt.query_typed_one(CREATE_QUEUE, &[(&queue, Type::TEXT)]) {
            Ok(row) => {
                let created: i32 = row.get(0);
                attempt.commit()?;
                return Ok(created != 0);
            }
            Err(error) if error.code() == Some(&SqlState::DUPLICATE_TABLE) => attempt.rollback()?,
            Err(error) => return Err(error),
        }
    }
    let row = transaction.query_typed_one(CREATE_QUEUE, &[(&queue, Type::TEXT)])?;
    Ok(row.get::<_, i32>(0) != 0)
}

/// Whether this role can set the rights of the tables that the extension has created.
const SETS_RIGHTS: &str = "select exists (select from pg_catalog.pg_extension where extname = 'pgq') \
     and exists (select from pg_catalog.pg_proc where oid = pg_catalog.to_regprocedure('pgq._queue_rights(pg_catalog.text)')::pg_catalog.oid \
         and pg_catalog.has_function_privilege(oid, 'execute'))";

/// $1 queue.
const SET_RIGHTS: &str = "select pgq._queue_rights($1)";

/// Undoes what default privileges have changed of the rights of a new queue's tables. The own schema has done so.
fn set_rights(transaction: &mut Transaction<'_>, queue: &str) -> Result<(), postgres::Error> {
    let no_values: &[(&(dyn ToSql + Sync), Type)] = &[];
    if transaction.query_typed_one(SETS_RIGHTS, no_values)?.get(0) {
        transaction.query_typed(SET_RIGHTS, &[(&queue, Type::TEXT)])?;
    }
    Ok(())
}
