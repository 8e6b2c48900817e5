//! The statements of installing and removing.

/// $1 schema, $2 names of tables, sequences and indexes, $3 names of functions. Whether one of them is not there.
pub(crate) const IS_INCOMPLETE: &str = "select exists (select from pg_catalog.unnest($2::pg_catalog.text[]) name \
         where not exists (select from pg_catalog.pg_class \
             where relnamespace = pg_catalog.to_regnamespace($1::pg_catalog.text) and relname = name)) \
     or exists (select from pg_catalog.unnest($3::pg_catalog.text[]) name \
         where not exists (select from pg_catalog.pg_proc \
             where pronamespace = pg_catalog.to_regnamespace($1::pg_catalog.text) and proname = name))";

/// $1 names. Whether one of these constraints of PgQ's tables is not there.
pub(crate) const LACKS_CONSTRAINTS: &str = "select exists (select from pg_catalog.unnest($1::pg_catalog.text[]) name \
     where not exists (select from pg_catalog.pg_constraint \
         where connamespace = pg_catalog.to_regnamespace('pgq') and conname = name))";

/// Whether a queue lacks a table or a sequence.
pub(crate) const LACKS_TABLES: &str = "select exists (select from pgq.queue q cross join lateral ( \
         select q.queue_event_seq union all select q.queue_tick_seq union all select q.queue_data_pfx union all \
         select q.queue_data_pfx || '_' || part from pg_catalog.generate_series(0, q.queue_ntables - 1) part \
     ) named (name) \
     where q.queue_data_pfx ~ '^pgq[.]' and pg_catalog.to_regclass(pgq.quote_fqname(named.name)) is null)";

/// Whether default privileges have given somebody a right on something of PgQ's who is none of PgQ's roles.
pub(crate) const HAS_LEAKED: &str = "select exists (select from ( \
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
