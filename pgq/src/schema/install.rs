//! Installing: which schema it is to be, and what comes next to it.

use postgres::types::{ToSql, Type};
use postgres::{GenericClient, Transaction};

use super::extras::{EXTENSION_RIGHTS, EXTENSION_TABLES, ROLES};
use super::own::constraints;
use super::report::{Change, Kind, Report};
use super::script::{Age, SqlScript};
use super::state::State;
use super::{COOP, FAILED, PGQ, change, trust};
use crate::error::Error;

const WHAT: &str = "cannot install schema `pgq`";

/// Installs PgQ, or brings an older own schema up to date; returns whether it was not there before.
///
/// Takes the extension where the server offers it and this role may create it, and the own schema otherwise.
///
/// # Errors
///
/// As [`install_as`].
pub fn install(client: &mut impl GenericClient) -> Result<bool, Error> {
    install_as(client, None).map(|report| report.change == Change::Installed)
}

/// Installs PgQ in one transaction: the given schema, or with `None` what is installed already, else the
/// extension where the server offers it and this role may create it, else the own schema. Next to either come
/// the store of failed events and cooperative consumers, which PgQ 3.5 lacks.
///
/// Of two installations at once the second one waits for the first.
///
/// # Errors
///
/// When there is a schema `pgq` of another kind or origin, or a newer one than this crate's; when something in `pgq`
/// or `pgq_coop` belongs to a role that could so make this one run its code ([`trust_check`](super::trust_check)); when
/// the extension is insisted on and the server does not offer it; when the server refuses. Nothing is changed then.
pub fn install_as(client: &mut impl GenericClient, kind: Option<Kind>) -> Result<Report, Error> {
    let failed = |error| Error::failed(WHAT).caused_by(error);
    let (mut transaction, search_path) = change::begin(client, WHAT)?;
    let before = State::read(&mut transaction)?;
    let damaged = before.owned && is_damaged(&mut transaction, &before).map_err(failed)?;
    let (kind, change) = decide(&before, kind, damaged)?;
    match (kind, change) {
        (_, Change::Unchanged) => {}
        (Kind::Own, _) => transaction.batch_execute(&PGQ.sql()).map_err(failed)?,
        (Kind::Extension, _) => create_extension(&mut transaction)?,
    }
    let extras = install_extras(&mut transaction, change)?;
    trust::require(&mut transaction, WHAT)?;
    let roles = State::read(&mut transaction)?.granted;
    change::commit(transaction, &search_path).map_err(failed)?;
    Ok(Report { kind, change, extras, roles })
}

/// Whether a queue lacks a table or a sequence.
const LACKS_TABLES: &str = "select exists (select from pgq.queue q cross join lateral ( \
         select q.queue_event_seq union all select q.queue_tick_seq union all select q.queue_data_pfx union all \
         select q.queue_data_pfx || '_' || part from pg_catalog.generate_series(0, q.queue_ntables - 1) part \
     ) named (name) \
     where q.queue_data_pfx ~ '^pgq[.]' and pg_catalog.to_regclass(pgq.quote_fqname(named.name)) is null)";

const CREATE_EXTENSION: &str = "create extension if not exists pgq";

/// Creates the extension unless it is there, mends the rights that default privileges have changed, and creates what a
/// dump has left out of its queues.
fn create_extension(transaction: &mut Transaction<'_>) -> Result<(), Error> {
    let failed = |error| Error::failed("cannot create the extension `pgq`").caused_by(error);
    for statements in [ROLES, CREATE_EXTENSION] {
        transaction.batch_execute(statements).map_err(failed)?;
    }
    let is_incomplete = ask(transaction, LACKS_TABLES, &[]).map_err(failed)?;
    let tables: &[&str] = if is_incomplete { &EXTENSION_TABLES } else { &[] };
    for statements in tables.iter().chain(&EXTENSION_RIGHTS) {
        transaction.batch_execute(statements).map_err(failed)?;
    }
    Ok(())
}

/// $1 schema, $2 names of tables, sequences and indexes, $3 names of functions. Whether one of them is not there.
const IS_INCOMPLETE: &str = "select exists (select from pg_catalog.unnest($2::pg_catalog.text[]) name \
         where not exists (select from pg_catalog.pg_class \
             where relnamespace = pg_catalog.to_regnamespace($1::pg_catalog.text) and relname = name)) \
     or exists (select from pg_catalog.unnest($3::pg_catalog.text[]) name \
         where not exists (select from pg_catalog.pg_proc \
             where pronamespace = pg_catalog.to_regnamespace($1::pg_catalog.text) and proname = name))";

/// $1 names. Whether one of these constraints of PgQ's tables is not there.
const LACKS_CONSTRAINTS: &str = "select exists (select from pg_catalog.unnest($1::pg_catalog.text[]) name \
     where not exists (select from pg_catalog.pg_constraint \
         where connamespace = pg_catalog.to_regnamespace('pgq') and conname = name))";

/// Whether default privileges have given somebody a right on something of PgQ's who is none of PgQ's roles.
const HAS_LEAKED: &str = "select exists (select from ( \
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

/// Returns whether a dump has left out something of what is installed, or default privileges have given more away than
/// is meant to be.
fn is_damaged(transaction: &mut Transaction<'_>, found: &State) -> Result<bool, postgres::Error> {
    if ask(transaction, HAS_LEAKED, &[])? {
        return Ok(true);
    } else if found.extension && found.is_open("pgq.event_failed") {
        // What the extension itself has brought has its rights, its queues' tables have not.
        return Ok(true);
    } else if found.extension {
        return ask(transaction, LACKS_TABLES, &[]);
    } else if found.own().is_none() {
        return Ok(false);
    }
    let (relations, functions, constraints) = (PGQ.relations(), PGQ.functions(), constraints());
    Ok(ask(
        transaction,
        IS_INCOMPLETE,
        &[(&"pgq", Type::TEXT), (&relations, Type::TEXT_ARRAY), (&functions, Type::TEXT_ARRAY)],
    )? || ask(transaction, LACKS_CONSTRAINTS, &[(&constraints, Type::TEXT_ARRAY)])?
        || ask(transaction, LACKS_TABLES, &[])?)
}

fn ask(
    transaction: &mut Transaction<'_>,
    question: &str,
    values: &[(&(dyn ToSql + Sync), Type)],
) -> Result<bool, postgres::Error> {
    transaction.query_typed_one(question, values).map(|row| row.get(0))
}

fn decide(found: &State, wanted: Option<Kind>, damaged: bool) -> Result<(Kind, Change), Error> {
    if found.extension {
        return match wanted {
            Some(Kind::Own) => Err(taken("the extension `pgq` is installed")),
            _ if damaged => Ok((Kind::Extension, Change::Updated)),
            _ => Ok((Kind::Extension, Change::Unchanged)),
        };
    }
    match (found.own(), wanted) {
        (Some(_), Some(Kind::Extension)) => Err(taken("the own schema is installed")),
        (Some(Age::Newer), _) => {
            Err(Error::failed("schema `pgq` comes from a newer release of this program"))
        }
        (Some(Age::Same), _) if found.usable && !found.owned => Ok((Kind::Own, Change::Unchanged)),
        (Some(Age::Same), _) if !damaged && is_granted(found) => Ok((Kind::Own, Change::Unchanged)),
        (Some(_), _) => Ok((Kind::Own, Change::Updated)),
        (None, _) if found.occupied => Err(Error::failed(
            "there is a schema `pgq` that neither the extension nor this program has made; \
             it has to be renamed or dropped first",
        )),
        (None, Some(Kind::Extension)) if !found.available => Err(Error::missing(
            "the server does not offer the extension `pgq`; its package is named like postgresql-15-pgq3",
        )),
        (None, Some(kind)) => Ok((kind, Change::Installed)),
        (None, None) if found.available && found.creatable => Ok((Kind::Extension, Change::Installed)),
        (None, None) => Ok((Kind::Own, Change::Installed)),
    }
}

/// Returns whether the own schema's functions are for those that they are meant for.
fn is_granted(found: &State) -> bool {
    !found.is_open("pgq.finish_batch") && (found.granted || !found.roles)
}

fn taken(what: &str) -> Error {
    Error::failed(format!(
        "{what}, and one schema does not take over the queues of the other; \
         when they are not needed any more, `pgqadm CONFIG.ini uninstall` makes room"
    ))
}

/// Installs what PgQ itself lacks; all of it after a change of PgQ, whose grants it follows. Returns `None` when
/// it is not there and this role may not install it.
fn install_extras(transaction: &mut Transaction<'_>, pgq: Change) -> Result<Option<Change>, Error> {
    let state = State::read(transaction)?;
    let missing = state.missing_extras();
    let scripts: &[&SqlScript] = match (pgq, state.coop_extension) {
        (Change::Unchanged, _) => &missing,
        (_, false) => &[&FAILED, &COOP],
        (_, true) => &[&FAILED],
    };
    if scripts.is_empty() {
        return Ok(Some(Change::Unchanged));
    } else if !state.owned {
        return Ok(None);
    }
    for script in scripts {
        transaction.batch_execute(&script.sql()).map_err(|error| {
            Error::failed("cannot install failed events and cooperative consumers").caused_by(error)
        })?;
    }
    Ok(Some(if state.has_extras() { Change::Updated } else { Change::Installed }))
}
