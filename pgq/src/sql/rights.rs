//! The statements about the rights of a queue's tables.

/// $1 queue. The role, quoted, and what it lacks for COPY into the queue's tables, as the middle of GRANT statements.
pub(crate) const MISSING_RIGHTS: &str = "select pg_catalog.quote_ident(current_user), pg_catalog.array_remove(array[ \
         case when not pg_catalog.has_function_privilege('pgq.current_event_table(pg_catalog.text)', 'execute') \
             then 'execute on function pgq.current_event_table(text)' end, \
         (select 'insert on ' || pg_catalog.string_agg(name, ', ' order by number) \
             from pg_catalog.generate_series(0, queue_ntables - 1) number \
             cross join lateral (select pgq.quote_fqname(queue_data_pfx || '_' || number::pg_catalog.text)) named (name) \
             where not pg_catalog.has_table_privilege(pg_catalog.to_regclass(name)::pg_catalog.oid, 'insert')), \
         case when not pg_catalog.has_sequence_privilege(pg_catalog.to_regclass(pgq.quote_fqname(queue_event_seq))::pg_catalog.oid, 'usage') \
             then 'usage on sequence ' || pgq.quote_fqname(queue_event_seq) end], null) \
     from pgq.queue where queue_name = $1";

/// Whether this role can set the rights of the tables that the extension has created.
pub(crate) const SETS_RIGHTS: &str = "select exists (select from pg_catalog.pg_extension where extname = 'pgq') \
     and exists (select from pg_catalog.pg_proc where oid = pg_catalog.to_regprocedure('pgq._queue_rights(pg_catalog.text)')::pg_catalog.oid \
         and pg_catalog.has_function_privilege(oid, 'execute'))";

/// $1 queue.
pub(crate) const SET_RIGHTS: &str = "select pgq._queue_rights($1)";
