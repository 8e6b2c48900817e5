//! The columns of failed events.

/// The columns of a failed event; texts as bytes, which in a database with encoding `SQL_ASCII` need not be text.
macro_rules! columns {
    () => {
        concat!(
            "ev_id, ev_time, ev_txid, ev_retry, ",
            $crate::names::bytes!("ev_type"),
            ", ",
            $crate::names::bytes!("ev_data"),
            ", ",
            $crate::names::bytes!("ev_extra1"),
            ", ",
            $crate::names::bytes!("ev_extra2"),
            ", ",
            $crate::names::bytes!("ev_extra3"),
            ", ",
            $crate::names::bytes!("ev_extra4"),
            ", ",
            $crate::names::bytes!("ev_failed_reason"),
            ", ev_failed_time"
        )
    };
}
pub(crate) use columns;
