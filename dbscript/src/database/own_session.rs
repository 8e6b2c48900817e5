//! Whether a session is a connection's alone, or a pooler gives it to other clients between transactions.

use crate::database::conninfo::Target;

/// A setting that a session has if the server started the session for this connection. A pooler's session lacks it.
pub(crate) const MARK: &str = "dbscript.own_session";

/// Makes the expression that is true in a session that is its connection's alone.
#[doc(hidden)]
#[macro_export]
macro_rules! has_own_session {
    () => {
        "coalesce(pg_catalog.current_setting('dbscript.own_session', true) operator(pg_catalog.=) '1', false)"
    };
}

/// The statement that returns whether the session is its connection's alone.
pub(crate) const HAS_OWN_SESSION: &str = concat!("select ", has_own_session!());

/// Returns the target with start options, which mark the session. Most poolers refuse options that they do not
/// recognise (SQLSTATE `protocol_violation`).
pub(crate) fn marked(target: &Target, options: &str) -> Target {
    let mut marked = target.clone();
    let given = target.common.get_options().unwrap_or_default();
    marked.common.options(format!("{given} -c {MARK}=1 {options}").trim());
    marked
}
