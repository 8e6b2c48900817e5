//! The statements of maintenance.

use crate::names::{bytes, from_bytes};

/// Leaves the rotation of queues out that have a consumer at transaction ids that the server has not reached: it would
/// seem to be past every rotation.
macro_rules! rotation_is_safe {
    () => {
        " where func_name <> 'pgq.maint_rotate_tables_step1' or not exists ( \
             select from pgq.queue \
             join pgq.subscription on sub_queue = queue_id \
             join pgq.tick on tick_queue = sub_queue and tick_id = sub_last_tick \
             where queue_name = func_arg and pg_catalog.txid_snapshot_xmax(tick_snapshot) \
                 > pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()))"
    };
}
pub(crate) use rotation_is_safe;

/// Makes the columns of what maintenance is due: the function's name and argument, and both as SQL can call them; as bytes.
macro_rules! operations {
    ($from:expr) => {
        concat!(
            "select ",
            bytes!("func_name"),
            ", ",
            bytes!("func_arg"),
            ", ",
            bytes!("pgq.quote_fqname(func_name)"),
            ", ",
            bytes!("pgq.quote_fqname(func_arg)"),
            " from ",
            $from,
            crate::sql::maintenance::rotation_is_safe!()
        )
    };
}
pub(crate) use operations;

/// What maintenance is due.
pub(crate) const MAINTENANCE: &str = operations!("pgq.maint_operations()");

/// Makes the call of a function of maintenance, whose name is quoted already, with an argument as bytes.
pub(crate) fn maintain(function: &str) -> String {
    format!("select {function}({})", from_bytes!("$1"))
}
