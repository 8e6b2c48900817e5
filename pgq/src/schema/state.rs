//! Reading which parts of PgQ a database has.

use crate::names::bytes;
use dbscript::param::NO_PARAMS;
use postgres::GenericClient;

use super::sql_script::{Age, SqlScript};
use super::{COOP, FAILED, Kind, LATER, PGQ};
use crate::error::Error;
use crate::names::Name;

/// The parts of PgQ that a database has, and this role's rights on them.
pub(super) struct State {
    /// Whether the functions exist.
    pub(super) usable: bool,
    /// Whether the extension is installed.
    pub(super) extension: bool,
    /// Whether the server offers the extension.
    pub(super) available: bool,
    /// Whether this role may create the extension.
    pub(super) creatable: bool,
    /// Whether schema `pgq` contains an object.
    pub(super) occupied: bool,
    /// Whether this role may change the objects of schema `pgq`.
    pub(super) owned: bool,
    /// Whether the roles `pgq_reader`, `pgq_writer` and `pgq_admin` exist.
    pub(super) roles: bool,
    /// Whether these roles have PgQ's grants.
    pub(super) granted: bool,
    /// Whether schema `pgq_coop` belongs to an extension.
    pub(super) coop_extension: bool,
    /// The functions that every role may call because a dump has omitted their privileges.
    open: Vec<String>,
    pgq: Marks,
    failed: Marks,
    later: Marks,
    coop: Marks,
}

/// The state that is checked before each use of PgQ.
pub(super) struct Present {
    /// Whether the functions exist.
    pub(super) usable: bool,
    /// The kind of PgQ; `None` for one of another origin.
    pub(super) kind: Option<Kind>,
    /// The first schema that precedes `pg_catalog` in the search path, if any.
    pub(super) before_catalogue: Option<String>,
}

/// The recorded release of a script: the comment, and the function that returns the same text.
struct Marks {
    comment: Option<String>,
    function: Option<String>,
}

/// Returns the columns of [`State`].
///
/// Failed and delayed events count as installed only together with their trigger: a dump of a database with the extension
/// contains the events, but not the trigger on the extension's table.
const SCHEMA_STATE: &str = "select \
     pg_catalog.to_regprocedure('pgq.next_batch_custom(pg_catalog.text,pg_catalog.text,pg_catalog.interval,pg_catalog.int4,pg_catalog.interval)') is not null as usable, \
     exists (select from pg_catalog.pg_extension where extname = 'pgq') as extension, \
     exists (select from pg_catalog.pg_available_extensions where name = 'pgq') as available, \
     exists (select from pg_catalog.pg_available_extension_versions \
         where name = 'pgq' and (not superuser or trusted or pg_catalog.current_setting('is_superuser')::pg_catalog.bool)) \
         and pg_catalog.has_database_privilege(pg_catalog.current_database(), 'create') as creatable, \
     exists (select from pg_catalog.pg_class where relnamespace = pg_catalog.to_regnamespace('pgq')::pg_catalog.oid) \
         or exists (select from pg_catalog.pg_proc where pronamespace = pg_catalog.to_regnamespace('pgq')::pg_catalog.oid) as occupied, \
     coalesce((select pg_catalog.pg_has_role(relowner, 'usage') from pg_catalog.pg_class \
         where oid = pg_catalog.to_regclass('pgq.subscription')::pg_catalog.oid), \
         (select pg_catalog.pg_has_role(nspowner, 'usage') from pg_catalog.pg_namespace where nspname = 'pgq'), \
         false) as owned, \
     (select pg_catalog.count(*) = 3 from pg_catalog.pg_roles where rolname in ('pgq_reader', 'pgq_writer', 'pgq_admin')) as roles, \
     exists (select from pg_catalog.pg_proc cross join lateral pg_catalog.aclexplode(proacl) acl \
         where pg_proc.oid = pg_catalog.to_regprocedure('pgq.finish_batch(bigint)')::pg_catalog.oid \
         and acl.grantee = pg_catalog.to_regrole('pgq_reader')::pg_catalog.oid) as granted, \
     array(select name from pg_catalog.unnest(array['pgq.finish_batch(bigint)', \
             'pgq.event_failed(bigint,bigint,pg_catalog.text)', \
             'pgq.insert_event_at(pg_catalog.text,pg_catalog.timestamptz,pg_catalog.text,pg_catalog.text)', 'pgq_coop.finish_batch(bigint)']) name \
         join pg_catalog.pg_proc on pg_proc.oid = pg_catalog.to_regprocedure(name)::pg_catalog.oid where proacl is null) as open, \
     exists (select from pg_catalog.pg_extension where extname = 'pgq_coop') as coop_extension, \
     pg_catalog.obj_description(pg_catalog.to_regnamespace('pgq')::pg_catalog.oid, 'pg_namespace') as pgq, \
     (select pg_catalog.obj_description(pg_catalog.to_regclass('pgq.failed_queue'), 'pg_class') from pg_catalog.pg_trigger \
         where tgrelid = pg_catalog.to_regclass('pgq.subscription')::pg_catalog.oid and tgname = 'failed_queue_cleanup') as failed, \
     (select pg_catalog.obj_description(pg_catalog.to_regclass('pgq.delayed_queue'), 'pg_class') from pg_catalog.pg_trigger \
         where tgrelid = pg_catalog.to_regclass('pgq.queue')::pg_catalog.oid and tgname = 'later_cleanup') as later, \
     pg_catalog.obj_description(pg_catalog.to_regnamespace('pgq_coop')::pg_catalog.oid, 'pg_namespace') as coop, \
     (select pg_catalog.split_part(prosrc, pg_catalog.chr(39), 2) from pg_catalog.pg_proc \
         where oid = pg_catalog.to_regprocedure('pgq._release()')::pg_catalog.oid) as pgq_source, \
     (select pg_catalog.split_part(prosrc, pg_catalog.chr(39), 2) from pg_catalog.pg_proc \
         where oid = pg_catalog.to_regprocedure('pgq._failed_release()')::pg_catalog.oid \
         and pg_catalog.to_regclass('pgq.failed_queue') is not null \
         and exists (select from pg_catalog.pg_trigger \
             where tgrelid = pg_catalog.to_regclass('pgq.subscription')::pg_catalog.oid and tgname = 'failed_queue_cleanup')) \
         as failed_source, \
     (select pg_catalog.split_part(prosrc, pg_catalog.chr(39), 2) from pg_catalog.pg_proc \
         where oid = pg_catalog.to_regprocedure('pgq._later_release()')::pg_catalog.oid \
         and pg_catalog.to_regclass('pgq.delayed_queue') is not null \
         and exists (select from pg_catalog.pg_trigger \
             where tgrelid = pg_catalog.to_regclass('pgq.queue')::pg_catalog.oid and tgname = 'later_cleanup')) \
         as later_source, \
     (select pg_catalog.split_part(prosrc, pg_catalog.chr(39), 2) from pg_catalog.pg_proc \
         where oid = pg_catalog.to_regprocedure('pgq_coop._release()')::pg_catalog.oid) as coop_source";

/// Returns the columns of [`Present`]. The statement qualifies its operators, since a schema may precede `pg_catalog`.
const SCHEMA_PRESENT: &str = concat!(
    "select pg_catalog.to_regprocedure('pgq.next_batch_custom(pg_catalog.text,pg_catalog.text,pg_catalog.interval,pg_catalog.int4,pg_catalog.interval)') is not null as usable, \
     exists (select from pg_catalog.pg_extension where extname operator(pg_catalog.=) 'pgq') as extension, \
     pg_catalog.obj_description(pg_catalog.to_regnamespace('pgq')::pg_catalog.oid, 'pg_namespace') as pgq, \
     (select pg_catalog.split_part(prosrc, pg_catalog.chr(39), 2) from pg_catalog.pg_proc \
         where oid operator(pg_catalog.=) pg_catalog.to_regprocedure('pgq._release()')::pg_catalog.oid) as pgq_source, \
     (select ",
    bytes!("schemas[1]"),
    " from (select pg_catalog.array_remove(pg_catalog.current_schemas(true)::pg_catalog.text[], \
             (select nspname::pg_catalog.text from pg_catalog.pg_namespace \
                 where oid operator(pg_catalog.=) pg_catalog.pg_my_temp_schema())) offset 0) path (schemas) \
         where schemas[1] operator(pg_catalog.<>) 'pg_catalog') as before_catalogue"
);

impl State {
    pub(super) fn read(client: &mut impl GenericClient) -> Result<State, Error> {
        let row = client
            .query_typed_one(SCHEMA_STATE, NO_PARAMS)
            .map_err(|error| Error::failed("cannot check for schema `pgq`").caused_by(error))?;
        let marks =
            |name: &str| Marks { comment: row.get(name), function: row.get(&*format!("{name}_source")) };
        Ok(State {
            usable: row.get("usable"),
            extension: row.get("extension"),
            available: row.get("available"),
            creatable: row.get("creatable"),
            occupied: row.get("occupied"),
            owned: row.get("owned"),
            roles: row.get("roles"),
            granted: row.get("granted"),
            coop_extension: row.get("coop_extension"),
            open: row.get("open"),
            pgq: marks("pgq"),
            failed: marks("failed"),
            later: marks("later"),
            coop: marks("coop"),
        })
    }

    /// Reads the state from the catalogue only. Listing the available extensions would read many files of the server.
    pub(super) fn present(client: &mut impl GenericClient) -> Result<Present, Error> {
        let row = client
            .query_typed_one(SCHEMA_PRESENT, &[])
            .map_err(|error| Error::failed("cannot check for schema `pgq`").caused_by(error))?;
        let marks = Marks { comment: row.get("pgq"), function: row.get("pgq_source") };
        let kind = match row.get("extension") {
            true => Some(Kind::Extension),
            false => marks.age(&PGQ).map(|_| Kind::Own),
        };
        let schema: Option<Name> = row.get("before_catalogue");
        Ok(Present { usable: row.get("usable"), kind, before_catalogue: schema.map(|Name(schema)| schema) })
    }

    /// Compares the installed own schema with this crate's; `None` when it is not installed.
    pub(super) fn own(&self) -> Option<Age> {
        self.pgq.age(&PGQ)
    }

    /// Returns whether every role may call a function that PgQ grants to some roles only. `name` is the beginning of
    /// the function's name.
    pub(super) fn is_open(&self, name: &str) -> bool {
        self.open.iter().any(|function| function.starts_with(name))
    }

    /// Returns the scripts of the add-ons that are missing, outdated or open to every role.
    pub(super) fn missing_addons(&self) -> Vec<&'static SqlScript> {
        let mut missing = Vec::new();
        if self.failed.needs_run(&FAILED) || self.is_open("pgq.event_failed") {
            missing.push(&FAILED);
        }
        if self.later.needs_run(&LATER) || self.is_open("pgq.insert_event_at") {
            missing.push(&LATER);
        }
        if !self.coop_extension && (self.coop.needs_run(&COOP) || self.is_open("pgq_coop.")) {
            missing.push(&COOP);
        }
        missing
    }

    /// Returns whether failed events are installed, by this or an older release.
    pub(super) fn has_addons(&self) -> bool {
        self.failed.comment.is_some() || self.failed.function.is_some()
    }

    /// Returns whether cooperative consumers were installed by this crate.
    pub(super) fn has_own_coop(&self) -> bool {
        self.coop.age(&COOP).is_some()
    }
}

impl Marks {
    /// Compares the recorded release with a script; `None` for another origin. The comment has precedence, since an
    /// older program updates only the comment.
    fn age(&self, script: &SqlScript) -> Option<Age> {
        [&self.comment, &self.function].into_iter().flatten().find_map(|mark| script.age(mark))
    }

    fn needs_run(&self, script: &SqlScript) -> bool {
        matches!(self.age(script), None | Some(Age::Older))
    }
}
