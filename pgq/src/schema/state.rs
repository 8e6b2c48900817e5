use postgres::GenericClient;
use postgres::types::{ToSql, Type};

use crate::{Error, sql};

/// What of PgQ there is in a database.
pub(super) struct State {
    /// Whether the functions are there, whoever's.
    pub(super) usable: bool,
    /// Whether the extension is installed.
    pub(super) extension: bool,
    /// What the own schema says of itself, if it is installed.
    pub(super) own: Option<String>,
    /// Whether schema `pgq` has anything in it.
    pub(super) occupied: bool,
    /// Whether the server offers the extension.
    pub(super) available: bool,
    /// Whether this role may create the extension.
    pub(super) creatable: bool,
    /// Whether the roles that PgQ grants to are there.
    pub(super) roles: bool,
}

pub(super) fn read(client: &mut impl GenericClient) -> Result<State, Error> {
    let no_values: &[(&(dyn ToSql + Sync), Type)] = &[];
    let row = client
        .query_typed_one(sql::SCHEMA_STATE, no_values)
        .map_err(|error| Error::failed("cannot look for schema `pgq`").caused_by(error))?;
    Ok(State {
        usable: row.get(0),
        extension: row.get(1),
        own: row.get(2),
        occupied: row.get(3),
        available: row.get(4),
        creatable: row.get(5),
        roles: row.get(6),
    })
}
