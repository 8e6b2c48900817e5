//! Installing PgQ: choosing the schema, and adding the add-ons.

use dbscript::param::{Param, text_array};
use postgres::types::Type;
use postgres::{GenericClient, Transaction};

use super::addons::{EXTENSION_RIGHTS, EXTENSION_TABLES, ROLES};
use super::own_schema::constraints;
use super::report::{Kind, Report, SchemaChange};
use super::sql_script::{Age, SqlScript};
use super::state::State;
use super::{COOP, FAILED, LATER, PGQ, change, trust};
use crate::error::Error;

const CANNOT_INSTALL: &str = "cannot install schema `pgq`";

/// Installs PgQ, or updates an older own schema. Returns `true` when PgQ was not installed before.
///
/// Installs the extension if the server offers it and this role may create it, and the own schema otherwise.
///
/// # Errors
///
/// As [`install_as`].
pub fn install(client: &mut impl GenericClient) -> Result<bool, Error> {
    install_as(client, None).map(|report| report.change == SchemaChange::Installed)
}

/// Installs or updates PgQ in one transaction. `kind` selects the schema. With `None` that is the first of these that
/// applies:
///
/// 1. the schema that is installed already;
/// 2. the extension, if the server offers it and this role may create it;
/// 3. the own schema.
///
/// Also installs failed events, delayed events and cooperative consumers, which PgQ 3.5 lacks. Concurrent installations wait for each
/// other.
///
/// # Errors
///
/// - A schema `pgq` of another kind, of another origin or of a newer release exists.
/// - An object in `pgq` or `pgq_coop` belongs to a role that could thereby make this role run its code
///   ([`trust_check`](super::trust_check)).
/// - `kind` is the extension, and the server does not offer it.
/// - The server refuses.
///
/// Nothing is changed then.
pub fn install_as(client: &mut impl GenericClient, kind: Option<Kind>) -> Result<Report, Error> {
    let failed = |error| Error::failed(CANNOT_INSTALL).caused_by(error);
    let (mut transaction, given_path) = change::begin(client, CANNOT_INSTALL)?;
    let before = State::read(&mut transaction)?;
    let damaged = before.owned && is_damaged(&mut transaction, &before).map_err(failed)?;
    let (kind, change) = decide(&before, kind, damaged)?;
    match (kind, change) {
        (_, SchemaChange::Unchanged) => {}
        (Kind::Own, _) => transaction.batch_execute(&PGQ.sql()).map_err(failed)?,
        (Kind::Extension, _) => create_extension(&mut transaction)?,
    }
    let extras = install_addons(&mut transaction, change)?;
    trust::require(&mut transaction, CANNOT_INSTALL)?;
    let roles = State::read(&mut transaction)?.granted;
    change::commit(transaction, &given_path).map_err(failed)?;
    Ok(Report { kind, change, extras, roles })
}

/// Returns whether a table or a sequence of some queue is missing.
const LACKS_TABLES: &str = "select exists (select from pgq.queue q cross join lateral ( \
         select q.queue_event_seq union all select q.queue_tick_seq union all select q.queue_data_pfx union all \
         select q.queue_data_pfx || '_' || part from pg_catalog.generate_series(0, q.queue_ntables - 1) part \
     ) named (name) \
     where q.queue_data_pfx ~ '^pgq[.]' and pg_catalog.to_regclass(pgq.quote_fqname(named.name)) is null)";

const CREATE_EXTENSION: &str = "create extension if not exists pgq";

/// Creates the extension if it is missing, creates the tables and sequences that a dump has omitted, and resets the
/// privileges that default privileges have changed.
fn create_extension(transaction: &mut Transaction<'_>) -> Result<(), Error> {
    let failed = |error| Error::failed("cannot create the extension `pgq`").caused_by(error);
    for statements in [ROLES, CREATE_EXTENSION] {
        transaction.batch_execute(statements).map_err(failed)?;
    }
    let is_incomplete = query_bool(transaction, LACKS_TABLES, &[]).map_err(failed)?;
    let tables: &[&str] = if is_incomplete { &EXTENSION_TABLES } else { &[] };
    for statements in tables.iter().chain(&EXTENSION_RIGHTS) {
        transaction.batch_execute(statements).map_err(failed)?;
    }
    Ok(())
}

/// $1 schema, $2 names of tables, sequences and indexes, $3 names of functions. Returns whether one of them is missing.
const IS_INCOMPLETE: &str = "select exists (select from pg_catalog.unnest($2::pg_catalog.text[]) name \
         where not exists (select from pg_catalog.pg_class \
             where relnamespace = pg_catalog.to_regnamespace($1::pg_catalog.text) and relname = name)) \
     or exists (select from pg_catalog.unnest($3::pg_catalog.text[]) name \
         where not exists (select from pg_catalog.pg_proc \
             where pronamespace = pg_catalog.to_regnamespace($1::pg_catalog.text) and proname = name))";

/// $1 names of constraints of PgQ's tables. Returns whether one of them is missing.
const LACKS_CONSTRAINTS: &str = "select exists (select from pg_catalog.unnest($1::pg_catalog.text[]) name \
     where not exists (select from pg_catalog.pg_constraint \
         where connamespace = pg_catalog.to_regnamespace('pgq') and conname = name))";

/// Returns whether default privileges have granted a privilege on an object of PgQ to a role that is not one of PgQ's.
const HAS_FOREIGN_GRANTS: &str = "select exists (select from ( \
         select relowner, case relkind when 'S' then 'S' else 'r' end::\"char\", relacl, relnamespace \
             from pg_catalog.pg_class \
         union all select proowner, 'f', proacl, pronamespace from pg_catalog.pg_proc \
         union all select nspowner, 'n', nspacl, oid from pg_catalog.pg_namespace \
     ) object (owner, objtype, acl, namespace) \
     cross join lateral pg_catalog.aclexplode(acl) entry \
     join pg_catalog.pg_default_acl on defaclrole = owner and defaclobjtype = objtype \
         and defaclnamespace in (0, namespace) \
     cross join lateral pg_catalog.aclexplode(defaclacl) given \
     where namespace in (select oid from pg_catalog.pg_namespace where nspname in ('pgq', 'pgq_coop')) \
         and entry.grantee not in (0, owner) and given.grantee = entry.grantee \
         and given.privilege_type = entry.privilege_type \
         and entry.grantee not in (select oid from pg_catalog.pg_roles \
             where rolname in ('pgq_reader', 'pgq_writer', 'pgq_admin')))";

/// Returns whether a dump has omitted a part of the installed schema, or default privileges have granted more than PgQ
/// does.
fn is_damaged(transaction: &mut Transaction<'_>, found: &State) -> Result<bool, postgres::Error> {
    if query_bool(transaction, HAS_FOREIGN_GRANTS, &[])? {
        return Ok(true);
    } else if found.extension && (found.is_open("pgq.event_failed") || found.is_open("pgq.insert_event_at")) {
        // The dump keeps the grants on the extension's own objects, and omits those on the tables of queues.
        return Ok(true);
    } else if found.extension {
        return query_bool(transaction, LACKS_TABLES, &[]);
    } else if found.own().is_none() {
        return Ok(false);
    }
    let (relations, functions, constraints) = (PGQ.relations(), PGQ.functions(), constraints());
    Ok(query_bool(
        transaction,
        IS_INCOMPLETE,
        &[(&"pgq", Type::TEXT), text_array(&relations), text_array(&functions)],
    )? || query_bool(transaction, LACKS_CONSTRAINTS, &[text_array(&constraints)])?
        || query_bool(transaction, LACKS_TABLES, &[])?)
}

fn query_bool(
    transaction: &mut Transaction<'_>,
    statement: &str,
    values: &[Param<'_>],
) -> Result<bool, postgres::Error> {
    transaction.query_typed_one(statement, values).map(|row| row.get(0))
}

fn decide(found: &State, wanted: Option<Kind>, damaged: bool) -> Result<(Kind, SchemaChange), Error> {
    if found.extension {
        return match wanted {
            Some(Kind::Own) => Err(taken("the extension `pgq` is installed")),
            _ if damaged => Ok((Kind::Extension, SchemaChange::Updated)),
            _ => Ok((Kind::Extension, SchemaChange::Unchanged)),
        };
    }
    match (found.own(), wanted) {
        (Some(_), Some(Kind::Extension)) => Err(taken("the own schema is installed")),
        (Some(Age::Newer), _) => {
            Err(Error::failed("schema `pgq` is of a newer release of this program; use that release"))
        }
        (Some(Age::Same), _) if found.usable && !found.owned => Ok((Kind::Own, SchemaChange::Unchanged)),
        (Some(Age::Same), _) if !damaged && is_granted(found) => Ok((Kind::Own, SchemaChange::Unchanged)),
        (Some(_), _) => Ok((Kind::Own, SchemaChange::Updated)),
        (None, _) if found.occupied => Err(Error::failed(
            "schema `pgq` was created by neither the extension nor this program; rename or drop it first",
        )),
        (None, Some(Kind::Extension)) if !found.available => Err(Error::missing(
            "the server does not offer the extension `pgq`; install its package, such as postgresql-15-pgq3",
        )),
        (None, Some(kind)) => Ok((kind, SchemaChange::Installed)),
        (None, None) if found.available && found.creatable => Ok((Kind::Extension, SchemaChange::Installed)),
        (None, None) => Ok((Kind::Own, SchemaChange::Installed)),
    }
}

/// Returns whether the own schema's functions have their intended grants.
fn is_granted(found: &State) -> bool {
    !found.is_open("pgq.finish_batch") && (found.granted || !found.roles)
}

fn taken(what: &str) -> Error {
    Error::failed(format!(
        "{what}, and its queues cannot be converted; \
         run `pgqadm CONFIG.ini uninstall` first if they are not needed any more"
    ))
}

/// Installs the add-ons that are missing or outdated, or all of them after a change of PgQ, whose grants they copy.
/// Returns `None` when an add-on is missing and this role may not install it.
fn install_addons(
    transaction: &mut Transaction<'_>,
    pgq: SchemaChange,
) -> Result<Option<SchemaChange>, Error> {
    let state = State::read(transaction)?;
    let missing = state.missing_addons();
    let scripts: &[&SqlScript] = match (pgq, state.coop_extension) {
        (SchemaChange::Unchanged, _) => &missing,
        (_, false) => &[&FAILED, &LATER, &COOP],
        (_, true) => &[&FAILED, &LATER],
    };
    if scripts.is_empty() {
        return Ok(Some(SchemaChange::Unchanged));
    } else if !state.owned {
        return Ok(None);
    }
    for script in scripts {
        transaction.batch_execute(&script.sql()).map_err(|error| {
            Error::failed("cannot install failed events, delayed events and cooperative consumers")
                .caused_by(error)
        })?;
    }
    Ok(Some(if state.has_addons() { SchemaChange::Updated } else { SchemaChange::Installed }))
}
