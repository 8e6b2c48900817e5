//! The turns of the tables that keep the keys of events which are inserted once.

use postgres::Client;

use crate::error::Error;

/// Returns whether events once are installed and this role may do the steps of the turns.
const IS_INSTALLED: &str = "select coalesce(pg_catalog.has_function_privilege( \
         pg_catalog.to_regprocedure('pgq.maint_event_keys()')::pg_catalog.oid, 'execute'::pg_catalog.text), false)";

/// Does the next step. Returns 1, or 0 if none is due.
const STEP: &str = "set local transaction isolation level read committed; select pgq.maint_event_keys()";

/// Does the due steps.
pub(super) fn take_turns(client: &mut Client) -> Result<(), Error> {
    let failed = |error| Error::failed("cannot remove the keys of events once").caused_by(error);
    if client.query_typed_one(IS_INSTALLED, &[]).map_err(failed)?.get(0) {
        while has_stepped(&client.simple_query(STEP).map_err(failed)?) {}
    }
    Ok(())
}

fn has_stepped(answer: &[postgres::SimpleQueryMessage]) -> bool {
    answer
        .iter()
        .any(|message| matches!(message, postgres::SimpleQueryMessage::Row(row) if row.get(0) == Some("1")))
}
