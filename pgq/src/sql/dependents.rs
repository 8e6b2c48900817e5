//! The statements that find out what would go together with something that is dropped.

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

/// For the statements that follow in the transaction.
pub(crate) const UNCOMPILED: &str = "set local jit = off";

/// $1 schemas. What elsewhere would go with them, and views and foreign tables in them.
pub(crate) fn of_schemas() -> String {
    format!(
        "with recursive start (classid, objid) as ( \
             select 'pg_catalog.pg_namespace'::pg_catalog.regclass::pg_catalog.oid, oid \
                 from pg_catalog.pg_namespace where nspname = any ($1::pg_catalog.text[]) \
             union all select 'pg_catalog.pg_extension'::pg_catalog.regclass, oid \
                 from pg_catalog.pg_extension where extname = any ($1::pg_catalog.text[])), \
         {FOLLOW}, \
         more (classid, objid, objsubid) as ( \
             select 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, c.oid, 0 \
             from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
             where n.nspname = any ($1::pg_catalog.text[]) and (c.relkind in ('v', 'm', 'f') \
                 or c.relkind in ('r', 'p') and n.nspname = 'pgq' and c.relname !~ \
                     '^(consumer|queue|tick|subscription|event_template|(retry|failed)_queue|event_[0-9]+(_[0-9]+)?)$')) \
         select array(select pg_catalog.concat(what.type, ' ', what.identity) from ( \
                 select * from listed union select * from more) lost \
             cross join lateral pg_catalog.pg_identify_object(lost.classid, lost.objid, lost.objsubid) what \
             where not exists (select from pg_catalog.pg_trigger join pg_catalog.pg_proc on pg_proc.oid = tgfoid \
                 where lost.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass and pg_trigger.oid = lost.objid \
                 and pronamespace = pg_catalog.to_regnamespace('pgq')) \
             order by 1)"
    )
}

/// $1 queue. What would have to go with its tables and sequences.
pub(crate) fn of_queue() -> String {
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

/// $1 schemas. The statement that keeps others from making views and the like of their tables, or null.
pub(crate) const LOCK_TABLES: &str = "select 'lock table ' || pg_catalog.string_agg( \
         pg_catalog.format('%I.%I', nspname, relname), ', ' order by nspname, relname) || ' in access exclusive mode' \
     from pg_catalog.pg_class join pg_catalog.pg_namespace n on n.oid = relnamespace \
     where nspname = any ($1::pg_catalog.text[]) and relkind in ('r', 'p')";
