//! Running the statements that read the status.

use dbscript::param::Param;
use postgres::{GenericClient, Row};

use crate::error::Error;

pub(super) fn query(
    client: &mut impl GenericClient,
    statement: &str,
    values: &[Param<'_>],
) -> Result<Vec<Row>, Error> {
    client.query_typed(statement, values).map_err(|error| failed().caused_by(error))
}

pub(super) fn failed() -> Error {
    Error::failed("cannot read the status of the queues")
}
