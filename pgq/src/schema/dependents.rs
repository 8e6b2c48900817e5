//! What of others depends on a schema, and goes when it is removed.

use postgres::types::{ToSql, Type};
use postgres::{GenericClient, Transaction};

use super::{COOP, FAILED, PGQ};
use crate::error::Error;

/// Follows dependencies as a cascade does, from `going` on. What is `inside` is not listed, nor what goes as a part of
/// something that is listed.
const FOLLOW: &str = "going (classid, objid, objsubid) as ( \
         select classid, objid, 0 from start \
         union select next.classid, next.objid, next.objsubid from going g cross join lateral ( \
             select d.classid, d.objid, d.objsubid from pg_catalog.pg_depend d \
                 where d.refclassid = g.classid and d.refobjid = g.objid \
                 and (g.objsubid = 0 or d.refobjsubid = g.objsubid) \
             union all select d.refclassid, d.refobjid, d.refobjsubid from pg_catalog.pg_depend d \
                 where d.classid = g.classid and d.objid = g.objid and d.deptype in ('i', 'e')) next), \
     inside (classid, objid) as ( \
         select classid, objid from start \
         union select d.classid, d.objid from inside i join pg_catalog.pg_depend d \
             on d.refclassid = i.classid and d.refobjid = i.objid \
             where d.classid <> 'pg_catalog.pg_publication_rel'::pg_catalog.regclass \
             and (d.deptype in ('a', 'i', 'e') or i.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass)), \
     outside as (select g.* from going g where not exists ( \
         select from inside i where i.classid = g.classid and i.objid = g.objid) \
         and g.classid <> 'pg_catalog.pg_default_acl'::pg_catalog.regclass), \
     listed as (select o.* from outside o where not exists ( \
         select from pg_catalog.pg_depend d join outside whole on whole.classid = d.refclassid \
             and whole.objid = d.refobjid and whole.objsubid in (0, d.refobjsubid) \
         where d.classid = o.classid and d.objid = o.objid and d.deptype in ('a', 'i', 'e')) \
         and not (o.objsubid <> 0 and exists (select from outside whole \
             where whole.classid = o.classid and whole.objid = o.objid and whole.objsubid = 0)))";

/// Names of tables and sequences that are PgQ's.
const RELATIONS: &str = "^(consumer|queue|tick|subscription|event_template|(retry|failed)_queue|\
     event_[0-9]+(_[0-9]+|_id_seq|_tick_seq)?|\
     (queue_queue|subscription_sub|consumer_co|batch)_id_seq|failed_queue_ev_failed_no_seq|\
     completed_(batch|event|tick|range)|partial_batch|checkpoint)$";

/// Names of types, indexes, constraints and columns that are PgQ's.
const TYPES: &str = "^tg_(facts|row_[0-9]+)$";

const INDEXES: &str = "^(rq_retry_idx|fq_owner_idx|event_[0-9]+_[0-9]+_txid_idx)$";

const CONSTRAINTS: &str = "(^(consumer_name_uq|queue_name_uq|subscription_batch_idx|rq_queue_id_fkey|\
     sub_(consumer|queue)_fkey|tick_queue_fkey)|_pkey)$";

const COLUMNS: &str = "^((queue|co|tick|sub|ev)_|(consumer_id|subconsumer_id|kind|number|prev_tick_id|ticks|\
     (last|cur)_batch_id|(batch|event)_id|last_tick_(id|time))$)";

/// $1 schemas, $2 names of PgQ's functions in them. What of others is in the schemas or on their tables: as `more`.
fn foreign() -> String {
    format!(
        "spaces (oid) as (select oid from pg_catalog.pg_namespace where nspname = any ($1::pg_catalog.text[])), \
         ours (oid) as (select c.oid from pg_catalog.pg_class c join spaces on spaces.oid = c.relnamespace \
             where c.relkind in ('r', 'p') and c.relname ~ '{RELATIONS}'), \
         more (classid, objid, objsubid) as ( \
             select d.classid, d.objid, 0 from pg_catalog.pg_depend d join spaces on spaces.oid = d.refobjid \
             where d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass \
             and d.classid <> 'pg_catalog.pg_default_acl'::pg_catalog.regclass \
             and not exists (select from pg_catalog.pg_depend m \
                 where m.classid = d.classid and m.objid = d.objid and m.deptype = 'e') \
             and not exists (select from pg_catalog.pg_extension x where x.oid = d.objid \
                 and d.classid = 'pg_catalog.pg_extension'::pg_catalog.regclass and x.extname = any ($1::pg_catalog.text[])) \
             and not exists (select from pg_catalog.pg_proc p where p.oid = d.objid \
                 and d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and p.proname = any ($2::pg_catalog.text[])) \
             and not exists (select from pg_catalog.pg_class c where c.oid = d.objid \
                 and d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
                 and c.relkind in ('r', 'p', 'S') and c.relname ~ '{RELATIONS}') \
             and not exists (select from pg_catalog.pg_type t where t.oid = d.objid \
                 and d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass and t.typname ~ '{TYPES}') \
             union all select 'pg_catalog.pg_trigger'::pg_catalog.regclass, t.oid, 0 \
                 from pg_catalog.pg_trigger t join ours on ours.oid = t.tgrelid where not t.tgisinternal \
             union all select 'pg_catalog.pg_rewrite'::pg_catalog.regclass, r.oid, 0 \
                 from pg_catalog.pg_rewrite r join ours on ours.oid = r.ev_class \
             union all select 'pg_catalog.pg_policy'::pg_catalog.regclass, p.oid, 0 \
                 from pg_catalog.pg_policy p join ours on ours.oid = p.polrelid \
             union all select 'pg_catalog.pg_class'::pg_catalog.regclass, i.indexrelid, 0 \
                 from pg_catalog.pg_index i join ours on ours.oid = i.indrelid \
                 join pg_catalog.pg_class c on c.oid = i.indexrelid where c.relname !~ '{INDEXES}' \
                 and not exists (select from pg_catalog.pg_constraint k where k.conindid = i.indexrelid) \
             union all select 'pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid, 0 \
                 from pg_catalog.pg_constraint k join ours on ours.oid = k.conrelid \
                 where k.contype <> 'n' and k.conparentid = 0::pg_catalog.oid and k.coninhcount = 0 \
                 and k.conname !~ '{CONSTRAINTS}' \
             union all select 'pg_catalog.pg_class'::pg_catalog.regclass, a.attrelid, a.attnum \
                 from pg_catalog.pg_attribute a join ours on ours.oid = a.attrelid \
                 where a.attnum > 0 and not a.attisdropped and a.attinhcount = 0 and a.attname !~ '{COLUMNS}')"
    )
}

/// $1 schemas, $2 names of PgQ's functions in them. What elsewhere would go with them, and what of others is in them.
fn of_schemas() -> String {
    let foreign = foreign();
    format!(
        "with recursive start (classid, objid) as ( \
             select 'pg_catalog.pg_namespace'::pg_catalog.regclass::pg_catalog.oid, oid \
                 from pg_catalog.pg_namespace where nspname = any ($1::pg_catalog.text[]) \
             union all select 'pg_catalog.pg_extension'::pg_catalog.regclass, oid \
                 from pg_catalog.pg_extension where extname = any ($1::pg_catalog.text[])), \
         {FOLLOW}, {foreign} \
         select array(select pg_catalog.concat(what.type, ' ', what.identity) from ( \
                 select * from listed union select * from more) lost \
             cross join lateral pg_catalog.pg_identify_object(lost.classid, lost.objid, lost.objsubid) what \
             where not exists (select from pg_catalog.pg_trigger join pg_catalog.pg_proc on pg_proc.oid = tgfoid \
                 where lost.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass and pg_trigger.oid = lost.objid \
                 and pronamespace = pg_catalog.to_regnamespace('pgq') and proname = any ($2::pg_catalog.text[])) \
             order by 1)"
    )
}

/// Functions of schema `pgq_ext`, and those that no file of this crate is named after.
const OTHER_FUNCTIONS: [&str; 17] = [
    "_add_completed_range",
    "_failed_release",
    "_release",
    "_wait_for_disk",
    "forget_batches",
    "get_batch_status",
    "get_checkpoint",
    "get_last_batch",
    "get_last_tick",
    "is_batch_done",
    "is_batch_done_by_any",
    "is_event_done",
    "set_batch_done",
    "set_event_done",
    "set_last_tick",
    "upgrade_schema",
    "version",
];

/// Returns what would go with schemas when they are removed and is not theirs: views, functions, columns, defaults,
/// foreign keys, rules and tables of others that depend on something in them, and whatever of others is in the schemas
/// themselves or on their tables, such as functions, types, triggers, policies, indexes and columns; each as its kind
/// and name. Triggers that make events are not among them.
///
/// # Errors
///
/// When the server fails.
pub fn dependents(client: &mut impl GenericClient, schemas: &[&str]) -> Result<Vec<String>, Error> {
    let failed = |error| Error::failed("cannot find out what depends on the schema").caused_by(error);
    let scripts = [&PGQ, &FAILED, &COOP].into_iter().flat_map(|script| script.functions());
    let known: Vec<&str> = scripts.chain(OTHER_FUNCTIONS).collect();
    list(client, &of_schemas(), &[(&schemas, Type::TEXT_ARRAY), (&known, Type::TEXT_ARRAY)]).map_err(failed)
}

/// $1 queue. What would have to go with its tables and sequences.
fn of_queue() -> String {
    format!(
        "with recursive start (classid, objid) as ( \
             select 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, \
                 pg_catalog.to_regclass(pgq.quote_fqname(named.name))::pg_catalog.oid \
             from pgq.queue q cross join lateral ( \
                 select q.queue_event_seq union all select q.queue_tick_seq union all select q.queue_data_pfx \
                 union all select q.queue_data_pfx || '_' || part \
                     from pg_catalog.generate_series(0, q.queue_ntables - 1) part) named (name) \
             where q.queue_name = $1 and pg_catalog.to_regclass(pgq.quote_fqname(named.name)) is not null), \
         {FOLLOW} \
         select array(select pg_catalog.concat(what.type, ' ', what.identity) from listed lost \
             cross join lateral pg_catalog.pg_identify_object(lost.classid, lost.objid, lost.objsubid) what order by 1)"
    )
}

/// Returns what of others depends on a queue's tables.
pub(crate) fn dependents_of_queue(
    client: &mut impl GenericClient,
    queue: &str,
) -> Result<Vec<String>, postgres::Error> {
    list(client, &of_queue(), &[(&queue, Type::TEXT)])
}

/// For the statements that follow in the transaction.
const UNCOMPILED: &str = "set local jit = off";

/// The planner expects millions of dependencies, and would compile for seconds what runs for milliseconds.
fn list(
    client: &mut impl GenericClient,
    statement: &str,
    values: &[(&(dyn ToSql + Sync), Type)],
) -> Result<Vec<String>, postgres::Error> {
    let mut transaction = client.transaction()?;
    transaction.batch_execute(UNCOMPILED)?;
    let row = transaction.query_typed_one(statement, values)?;
    transaction.commit()?;
    Ok(row.get(0))
}

/// $1 schemas. The statement that keeps others from making views and the like of their tables, or null.
const LOCK_TABLES: &str = "select 'lock table ' || pg_catalog.string_agg( \
         pg_catalog.format('%I.%I', nspname, relname), ', ' order by nspname, relname) || ' in access exclusive mode' \
     from pg_catalog.pg_class join pg_catalog.pg_namespace n on n.oid = relnamespace \
     where nspname = any ($1::pg_catalog.text[]) and relkind in ('r', 'p')";

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
    let locks = transaction.query_typed_one(LOCK_TABLES, &[(&schemas, Type::TEXT_ARRAY)]).map_err(failed)?;
    if let Some(lock) = locks.get::<_, Option<String>>(0) {
        transaction.batch_execute(&lock).map_err(failed)?;
    }
    let found = dependents(transaction, schemas)?;
    match found.iter().find(|one| agreed.is_some_and(|agreed| !agreed.contains(one))) {
        Some(new) => Err(Error::failed(format!("{what}: {new} depends on it, and has come since"))),
        None => Ok(found),
    }
}
