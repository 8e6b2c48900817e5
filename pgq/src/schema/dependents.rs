//! Listing foreign objects that depend on a schema or a queue, which a cascading drop would remove.

use dbscript::param::{Param, text, text_array};
use postgres::{GenericClient, Transaction};

use super::{COOP, FAILED, LATER, PGQ};
use crate::error::Error;

/// Common table expressions that follow dependencies from `start` as `drop … cascade` does. `listed` are the objects
/// that would be dropped, without those `inside` the start objects and without parts of objects that are listed.
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

/// The names of PgQ's tables and sequences.
const RELATIONS: &str = "^(consumer|queue|tick|registration|subscription|event_template|(retry|failed|delayed)_queue|(retry|delayed)_mark|scheduled_(event|time)|event_key_([0-2]|turn)|\
     event_[0-9]+(_[0-9]+|_id_seq|_tick_seq)?|\
     (queue_queue|subscription_sub|consumer_co|batch)_id_seq|failed_queue_ev_failed_no_seq|delayed_queue_ev_id_seq|scheduled_event_ev_id_seq|\
     claimed_(batch|event)|completed_(batch|event|tick|range)|partial_batch|checkpoint|applied_key)$";

/// The names of PgQ's types.
const TYPES: &str = "^tg_(facts|row_[0-9]+)$";

/// The names of PgQ's indexes.
const INDEXES: &str = "^(rq_(retry|txid)_idx|subscription_(newest|open)_idx|tick_endless_idx|retry_mark_newest_idx|delayed_mark_newest_idx|\
     fq_owner_idx|scheduled_time_newest_idx|dq_(due|txid)_idx|event_key_[0-2]_until_idx|event_[0-9]+_[0-9]+_txid_idx|\
     (completed_(batch|tick|range)|partial_batch|claimed_batch|checkpoint)_newest_idx|completed_batch_number_idx)$";

/// The names of PgQ's constraints.
const CONSTRAINTS: &str = "(^(consumer_name_uq|queue_name_uq|scheduled_event_name_uq|subscription_batch_idx|rq_queue_id_fkey|\
     sub_(consumer|queue)_fkey|tick_queue_fkey)|_pkey)$";

/// The names of the columns of PgQ's tables.
const COLUMNS: &str = "^((queue|co|tick|reg|sub|ev|mark|key|turn|next)_|(consumer_id|subconsumer_id|kind|number|prev_tick_id|ticks|\
     (last|cur)_batch_id|(batch|event)_id|event_mark|opened_at|last_tick_(id|time)|table_name|key_values)$)";

/// Common table expressions for the foreign objects in the schemas or on their tables: `more`. $1 schemas, $2 names of
/// PgQ's functions.
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

/// Makes the query for foreign objects that depend on the schemas or are in them. $1 schemas, $2 names of PgQ's
/// functions.
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
                 and pronamespace in (pg_catalog.to_regnamespace('pgq'), pg_catalog.to_regnamespace('pgq_ext')) \
                 and proname = any ($2::pg_catalog.text[])) \
             order by 1)"
    )
}

/// The functions of schema `pgq_ext`, and of `pgq` those that no SQL file creates.
const OTHER_FUNCTIONS: [&str; 29] = [
    "_add_completed_range",
    "_begin_events",
    "_failed_release",
    "_forget_checkpoint",
    "_forget_claims",
    "_forget_events",
    "_later_release",
    "_lock_key",
    "_may_claim",
    "_release",
    "_set_checkpoint",
    "_set_last_batch",
    "_unique_key",
    "_wait_for_disk",
    "begin_claims",
    "claim_event",
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

/// Returns the foreign objects that would be removed together with schemas, each as its kind and name:
///
/// - objects elsewhere that depend on the schemas: views, functions, columns, defaults, foreign keys, rules, tables;
/// - objects that others have created in the schemas or on their tables: functions, types, triggers, policies, indexes,
///   columns.
///
/// Triggers that insert events are not included.
///
/// # Errors
///
/// When the server fails.
pub fn dependents(client: &mut impl GenericClient, schemas: &[&str]) -> Result<Vec<String>, Error> {
    let failed = |error| Error::failed("cannot list the objects that depend on the schema").caused_by(error);
    let scripts = [&PGQ, &FAILED, &LATER, &COOP].into_iter().flat_map(|script| script.functions());
    let own_functions: Vec<&str> = scripts.chain(OTHER_FUNCTIONS).collect();
    list(client, &of_schemas(), &[text_array(&schemas), text_array(&own_functions)]).map_err(failed)
}

/// Makes the query for foreign objects that depend on a queue's tables and sequences. $1 queue.
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

/// Returns the foreign objects that depend on a queue's tables and sequences, each as its kind and name.
pub(crate) fn dependents_of_queue(
    client: &mut impl GenericClient,
    queue: &str,
) -> Result<Vec<String>, postgres::Error> {
    list(client, &of_queue(), &[text(&queue)])
}

/// Disables just-in-time compilation for the rest of the transaction.
const DISABLE_JIT: &str = "set local jit = off";

/// Runs a query for dependents without just-in-time compilation: the planner expects millions of dependencies, so it
/// would compile for seconds a query that runs for milliseconds.
fn list(
    client: &mut impl GenericClient,
    statement: &str,
    values: &[Param<'_>],
) -> Result<Vec<String>, postgres::Error> {
    let mut transaction = client.transaction()?;
    transaction.batch_execute(DISABLE_JIT)?;
    let row = transaction.query_typed_one(statement, values)?;
    transaction.commit()?;
    Ok(row.get(0))
}

/// $1 schemas. Returns the statement that locks their tables, or null without tables. The locks prevent new dependents.
const LOCK_TABLES: &str = "select 'lock table ' || pg_catalog.string_agg( \
         pg_catalog.format('%I.%I', nspname, relname), ', ' order by nspname, relname) || ' in access exclusive mode' \
     from pg_catalog.pg_class join pg_catalog.pg_namespace n on n.oid = relnamespace \
     where nspname = any ($1::pg_catalog.text[]) and relkind in ('r', 'p')";

/// Locks the tables of schemas that are about to be removed, and returns their [`dependents`]. Until the end of the
/// transaction no other session can use the tables or create dependents of them.
///
/// With `confirmed`, the dependents whose removal an operator has confirmed, fails for any other dependent.
///
/// # Errors
///
/// As described, and when the server fails.
pub fn lock_and_list_dependents(
    transaction: &mut Transaction<'_>,
    schemas: &[&str],
    confirmed: Option<&[String]>,
) -> Result<Vec<String>, Error> {
    let what = format!("cannot remove schema `{}`", schemas.first().unwrap_or(&"pgq"));
    let failed = |error| Error::failed(&*what).caused_by(error);
    let locks = transaction.query_typed_one(LOCK_TABLES, &[text_array(&schemas)]).map_err(failed)?;
    if let Some(lock) = locks.get::<_, Option<String>>(0) {
        transaction.batch_execute(&lock).map_err(failed)?;
    }
    let found = dependents(transaction, schemas)?;
    match found.iter().find(|one| confirmed.is_some_and(|confirmed| !confirmed.contains(one))) {
        Some(new) => Err(Error::failed(format!("{what}: {new} depends on it and was created since"))),
        None => Ok(found),
    }
}
