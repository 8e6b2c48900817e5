//! What of PgQ there is in a database.

use postgres::GenericClient;
use postgres::types::{ToSql, Type};

use super::script::{Age, Script};
use super::{COOP, FAILED, Kind, PGQ};
use crate::error::Error;
use crate::names::Name;
use crate::sql;

/// What of PgQ there is in a database.
pub(super) struct State {
    /// Whether the functions are there.
    pub(super) usable: bool,
    /// Whether the extension is installed.
    pub(super) extension: bool,
    /// Whether the server offers the extension.
    pub(super) available: bool,
    /// Whether this role may create the extension.
    pub(super) creatable: bool,
    /// Whether schema `pgq` has anything in it.
    pub(super) occupied: bool,
    /// Whether this role may change what is in schema `pgq`.
    pub(super) owned: bool,
    /// Whether the roles that PgQ grants to are there.
    pub(super) roles: bool,
    /// Whether they have got what PgQ grants.
    pub(super) granted: bool,
    /// Whether an extension has brought schema `pgq_coop`.
    pub(super) coop_extension: bool,
    /// Functions that anybody may call who is not meant to, since a dump has left out all rights.
    open: Vec<String>,
    pgq: Marks,
    failed: Marks,
    coop: Marks,
}

/// What is asked before PgQ is used.
pub(super) struct Present {
    /// Whether the functions are there.
    pub(super) usable: bool,
    /// Which kind of PgQ it is, if it is known.
    pub(super) kind: Option<Kind>,
    /// The first schema before the catalogue in the search path.
    pub(super) before_catalogue: Option<String>,
}

/// What the comment on an object says, and the function that says the same. Comments get lost, or are changed.
struct Marks {
    comment: Option<String>,
    function: Option<String>,
}

impl State {
    pub(super) fn read(client: &mut impl GenericClient) -> Result<State, Error> {
        let no_values: &[(&(dyn ToSql + Sync), Type)] = &[];
        let row = client
            .query_typed_one(sql::SCHEMA_STATE, no_values)
            .map_err(|error| Error::failed("cannot look for schema `pgq`").caused_by(error))?;
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
            coop: marks("coop"),
        })
    }

    /// Asks the catalogue alone what is there: which extensions the server offers stands in files, which it would read one
    /// by one.
    pub(super) fn present(client: &mut impl GenericClient) -> Result<Present, Error> {
        let row = client
            .query_typed_one(sql::SCHEMA_PRESENT, &[])
            .map_err(|error| Error::failed("cannot look for schema `pgq`").caused_by(error))?;
        let marks = Marks { comment: row.get("pgq"), function: row.get("pgq_source") };
        let kind = match row.get("extension") {
            true => Some(Kind::Extension),
            false => marks.age(&PGQ).map(|_| Kind::Own),
        };
        let schema: Option<Name> = row.get("before_catalogue");
        Ok(Present { usable: row.get("usable"), kind, before_catalogue: schema.map(|Name(schema)| schema) })
    }

    /// Returns the own schema's age, or `None` when it is not installed.
    pub(super) fn own(&self) -> Option<Age> {
        self.pgq.age(&PGQ)
    }

    /// Tells whether functions are open to anybody that only some roles are to call.
    pub(super) fn is_open(&self, name: &str) -> bool {
        self.open.iter().any(|function| function.starts_with(name))
    }

    /// Returns the scripts of what PgQ lacks that are to be run.
    pub(super) fn missing_extras(&self) -> Vec<&'static Script> {
        let mut missing = Vec::new();
        if self.failed.is_to_be_run(&FAILED) || self.is_open("pgq.event_failed") {
            missing.push(&FAILED);
        }
        if !self.coop_extension && (self.coop.is_to_be_run(&COOP) || self.is_open("pgq_coop.")) {
            missing.push(&COOP);
        }
        missing
    }

    /// Tells whether failed events can be stored, maybe by an older release.
    pub(super) fn has_extras(&self) -> bool {
        self.failed.comment.is_some() || self.failed.function.is_some()
    }

    /// Tells whether cooperative consumers were installed by this crate.
    pub(super) fn has_own_coop(&self) -> bool {
        self.coop.age(&COOP).is_some()
    }
}

impl Marks {
    /// Compares with a script; `None` when neither is its mark. An older program changes the comment alone.
    fn age(&self, script: &Script) -> Option<Age> {
        [&self.comment, &self.function].into_iter().flatten().find_map(|mark| script.age(mark))
    }

    fn is_to_be_run(&self, script: &Script) -> bool {
        matches!(self.age(script), None | Some(Age::Older))
    }
}
