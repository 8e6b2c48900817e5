//! Checks that row security does not hide rows of PgQ's tables, which would lose events without an error.

use crate::sql::batch::hidden_positions;
use postgres::GenericClient;

use crate::error::Error;

/// Fails when row security hides rows of tables. `hidden` lists these tables.
pub(crate) fn require_visible(hidden: Option<&str>) -> Result<(), Error> {
    let Some(tables) = hidden else { return Ok(()) };
    Err(Error::failed(format!(
        "row security hides rows of `{tables}` from this role, which would be lost; grant the role `bypassrls`, or \
         `alter table ... disable row level security`"
    )))
}

/// Returns the tables of positions whose rows row security hides from this role, or null.
const HIDDEN: &str = concat!("select ", hidden_positions!());

/// Fails when row security hides rows of the tables of positions, and when the server fails.
pub(crate) fn require_all_visible(client: &mut impl GenericClient) -> Result<(), Error> {
    let failed = |error| Error::failed("cannot check for row security").caused_by(error);
    require_visible(client.query_typed_one(HIDDEN, &[]).map_err(failed)?.get(0))
}
