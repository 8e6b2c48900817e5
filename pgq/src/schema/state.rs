//! What of PgQ there is in a database.

use postgres::GenericClient;
use postgres::types::{ToSql, Type};

use super::script::{Age, Script};
use super::{COOP, FAILED, Kind, PGQ};
use crate::{Error, sql};

/// What of PgQ there is in a database.
pub(super) struct State {
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
    pgq: Option<String>,
    failed: Option<String>,
    coop: Option<String>,
}

impl State {
    pub(super) fn read(client: &mut impl GenericClient) -> Result<State, Error> {
        let no_values: &[(&(dyn ToSql + Sync), Type)] = &[];
        let row = client
            .query_typed_one(sql::SCHEMA_STATE, no_values)
            .map_err(|error| Error::failed("cannot look for schema `pgq`").caused_by(error))?;
        Ok(State {
            extension: row.get("extension"),
            available: row.get("available"),
            creatable: row.get("creatable"),
            occupied: row.get("occupied"),
            owned: row.get("owned"),
            roles: row.get("roles"),
            granted: row.get("granted"),
            coop_extension: row.get("coop_extension"),
            pgq: row.get("pgq"),
            failed: row.get("failed"),
            coop: row.get("coop"),
        })
    }

    /// Tells whether the functions are there and, if it is known, of which kind. Asks the catalogue alone: which extensions
    /// the server offers stands in files, which it would read one by one.
    pub(super) fn kind(client: &mut impl GenericClient) -> Result<(bool, Option<Kind>), Error> {
        let row = client
            .query_typed_one(sql::SCHEMA_KIND, &[])
            .map_err(|error| Error::failed("cannot look for schema `pgq`").caused_by(error))?;
        let kind = match row.get("extension") {
            true => Some(Kind::Extension),
            false => age(&PGQ, row.get("pgq")).map(|_| Kind::Own),
        };
        Ok((row.get("usable"), kind))
    }

    /// Returns the own schema's age, or `None` when it is not installed.
    pub(super) fn own(&self) -> Option<Age> {
        age(&PGQ, self.pgq.as_deref())
    }

    /// Returns the scripts of what PgQ lacks that are to be run.
    pub(super) fn missing_extras(&self) -> Vec<&'static Script> {
        let mut missing = Vec::new();
        if wants(&FAILED, self.failed.as_deref()) {
            missing.push(&FAILED);
        }
        if !self.coop_extension && wants(&COOP, self.coop.as_deref()) {
            missing.push(&COOP);
        }
        missing
    }

    /// Tells whether failed events can be stored, maybe by an older release.
    pub(super) fn has_extras(&self) -> bool {
        self.failed.is_some()
    }

    /// Tells whether cooperative consumers were installed by this crate.
    pub(super) fn has_own_coop(&self) -> bool {
        age(&COOP, self.coop.as_deref()).is_some()
    }
}

fn wants(script: &Script, comment: Option<&str>) -> bool {
    matches!(age(script, comment), None | Some(Age::Older))
}

fn age(script: &Script, comment: Option<&str>) -> Option<Age> {
    comment.and_then(|comment| script.age(comment))
}
