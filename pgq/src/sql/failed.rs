//! The statements of the store of failed events.

use crate::names::bytes;

/// The columns of a failed event; texts as bytes, which in a database with encoding `SQL_ASCII` need not be text.
macro_rules! columns {
    () => {
        concat!(
            "ev_id, ev_time, ev_txid, ev_retry, ",
            bytes!("ev_type"),
            ", ",
            bytes!("ev_data"),
            ", ",
            bytes!("ev_extra1"),
            ", ",
            bytes!("ev_extra2"),
            ", ",
            bytes!("ev_extra3"),
            ", ",
            bytes!("ev_extra4"),
            ", ",
            bytes!("ev_failed_reason"),
            ", ev_failed_time"
        )
    };
}

/// $1 queue, $2 consumer, $3 limit or null, $4 offset. The columns of an event, then the failure's.
pub(crate) const FAILED_EVENTS: &str =
    concat!("select ", columns!(), " from pgq.failed_event_list($1, $2, $3, $4) order by ev_id");

/// $1 queue, $2 consumer.
pub(crate) const COUNT_FAILED_EVENTS: &str = "select pgq.failed_event_count($1, $2)";

/// $1 queue, $2 consumer, $3 event.
pub(crate) const RETRY_FAILED_EVENT: &str = "select pgq.failed_event_retry($1, $2, $3)";

/// $1 queue, $2 consumer, $3 event.
pub(crate) const DELETE_FAILED_EVENT: &str = "select pgq.failed_event_delete($1, $2, $3)";

/// $1 queue, $2 consumer, $3 the event behind which the page begins or null, $4 limit. As [`FAILED_EVENTS`].
pub(crate) const FAILED_EVENT_PAGE: &str =
    concat!("select ", columns!(), " from pgq.failed_event_page($1, $2, $3, $4) order by ev_id");

/// $1 queue, $2 consumer, $3 the event behind which the page begins or null, $4 limit, $5 seconds since 1970 or
/// null. The ids of events that failed before that time, and the last id of the page.
pub(crate) const FAILED_EVENT_IDS: &str = "select pg_catalog.array_agg(ev_id order by ev_id) filter (where $5 is null or ev_failed_time < pg_catalog.to_timestamp($5)), \
         pg_catalog.max(ev_id) \
     from pgq.failed_event_page($1, $2, $3, $4)";

/// $1 queue, $2 consumer, $3 events.
pub(crate) const RETRY_FAILED_EVENTS: &str = "select pgq.failed_event_retry_many($1, $2, $3)";

/// $1 queue, $2 consumer, $3 events.
pub(crate) const DELETE_FAILED_EVENTS: &str = "select pgq.failed_event_delete_many($1, $2, $3)";

/// $1 queue, $2 consumer, $3 events, $4 seconds since 1970 or null. Those that failed before that time.
pub(crate) const PURGE_FAILED_EVENTS: &str =
    "select pgq.failed_event_delete_many($1, $2, $3, pg_catalog.to_timestamp($4))";

/// $1 queue, $2 consumer, $3 events. The first event that is not there, if one is not.
pub(crate) const ABSENT_FAILED_EVENT: &str = "select id from pg_catalog.unnest($3::pg_catalog.int8[]) id where not exists ( \
         select from pgq.failed_event_page($1, $2, greatest(id, -9223372036854775807) - 1, 1) where ev_id = id) \
     order by id limit 1";

/// $1 interval. The time that long ago, as seconds since 1970.
pub(crate) const TIME_BEFORE: &str =
    "select extract(epoch from pg_catalog.now() - $1::pg_catalog.text::interval)::pg_catalog.float8";
