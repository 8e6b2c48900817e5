//! What of others depends on a schema, and goes when it is removed.

use postgres::types::{ToSql, Type};
use postgres::{GenericClient, Transaction};

use super::{COOP, FAILED, PGQ};
use crate::error::Error;
use crate::sql::dependents as sql;

/// Returns what would go with schemas when they are removed and is not theirs: views, functions, columns, defaults, foreign
/// keys, rules and tables of others that depend on something in them, and whatever of others is in the schemas
/// themselves or on their tables, such as functions, types, triggers, policies, indexes and columns; each as its kind and
/// name. Triggers that make events are not among them.
///
/// # Errors
///
/// When the server fails.
pub fn dependents(client: &mut impl GenericClient, schemas: &[&str]) -> Result<Vec<String>, Error> {
    let failed = |error| Error::failed("cannot find out what depends on the schema").caused_by(error);
    let scripts = [&PGQ, &FAILED, &COOP].into_iter().flat_map(|script| script.functions());
    let known: Vec<&str> = scripts.chain(sql::OTHER_FUNCTIONS).collect();
    list(client, &sql::of_schemas(), &[(&schemas, Type::TEXT_ARRAY), (&known, Type::TEXT_ARRAY)])
        .map_err(failed)
}

/// Returns what of others depends on a queue's tables.
pub(crate) fn dependents_of_queue(
    client: &mut impl GenericClient,
    queue: &str,
) -> Result<Vec<String>, postgres::Error> {
    list(client, &sql::of_queue(), &[(&queue, Type::TEXT)])
}

/// The planner expects millions of dependencies, and would compile for seconds what runs for milliseconds.
fn list(
    client: &mut impl GenericClient,
    statement: &str,
    values: &[(&(dyn ToSql + Sync), Type)],
) -> Result<Vec<String>, postgres::Error> {
    let mut transaction = client.transaction()?;
    transaction.batch_execute(sql::UNCOMPILED)?;
    let row = transaction.query_typed_one(statement, values)?;
    transaction.commit()?;
    Ok(row.get(0))
}

/// As [`dependents`], of schemas that are about to be removed: until the end of the transaction nobody else uses their
/// tables, or makes views of them. Fails when there is one that is not among those `agreed` on, if that is given.
///
/// # Errors
///
/// As described, and when the server fails.
pub fn dependents_at_last(
    transaction: &mut Transaction<'_>,
    schemas: &[&str],
    agreed: Option<&[String]>,
) -> Result<Vec<String>, Error> {
    let what = format!("cannot remove schema `{}`", schemas.first().unwrap_or(&"pgq"));
    let failed = |error| Error::failed(&*what).caused_by(error);
    let locks =
        transaction.query_typed_one(sql::LOCK_TABLES, &[(&schemas, Type::TEXT_ARRAY)]).map_err(failed)?;
    if let Some(lock) = locks.get::<_, Option<String>>(0) {
        transaction.batch_execute(&lock).map_err(failed)?;
    }
    let found = dependents(transaction, schemas)?;
    match found.iter().find(|one| agreed.is_some_and(|agreed| !agreed.contains(one))) {
        Some(new) => Err(Error::failed(format!("{what}: {new} depends on it, and has come since"))),
        None => Ok(found),
    }
}
