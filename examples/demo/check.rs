//! Verification that both databases contain the same events, each once.

use dbscript::BoxError;
use postgres::{Client, NoTls};

use crate::server::Server;
use crate::{SOURCE_QUEUE, TARGET_QUEUE};

/// Sums all columns that moving an event preserves. The data of each event is unique. The order is compared for each
/// producer, which the type identifies, since two producers may commit in another order than they insert.
const CONTENTS: &str = "\
    select pg_catalog.count(*), pg_catalog.count(distinct data), coalesce(pg_catalog.sum(bytes), 0)::pg_catalog.int8, \
        coalesce(pg_catalog.sum(hash), 0)::pg_catalog.text, coalesce(pg_catalog.sum(hash * place), 0)::pg_catalog.text \
    from ( \
        select ev_data as data, \
            pg_catalog.octet_length(pg_catalog.concat(ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)) as bytes, \
            pg_catalog.hashtextextended( \
                row(ev_time, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)::pg_catalog.text, 0 \
            )::numeric as hash, \
            pg_catalog.row_number() over (partition by ev_type order by ev_id) as place \
        from ";

const TABLE: &str = "select pgq.quote_fqname(queue_data_pfx) from pgq.queue where queue_name = $1";

/// The sums over the events of a queue.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    distinct: u64,
    /// The sum of the events' hashes.
    unordered: String,
    /// The sum of the events' hashes, each multiplied by its position.
    ordered: String,
}

/// Compares all events of the two queues.
///
/// # Errors
///
/// The kind of the difference, and the sums of both queues.
pub(crate) fn exactly_once(server: &Server, events: u64) -> Result<Contents, BoxError> {
    let source = contents(server, "sourcedb", SOURCE_QUEUE)?;
    let target = contents(server, "targetdb", TARGET_QUEUE)?;
    let difference = if source.events != events || source.distinct != events {
        "the producers did not insert each event once"
    } else if target.events != target.distinct {
        "events were moved twice"
    } else if target.events != source.events {
        "events were lost"
    } else if target.unordered != source.unordered {
        "events were changed"
    } else if target.ordered != source.ordered {
        "events are in another order"
    } else {
        return Ok(target);
    };
    Err(format!("{difference}: expected {events} events; source {source:?}, target {target:?}").into())
}

fn contents(server: &Server, database: &str, queue: &str) -> Result<Contents, BoxError> {
    let mut client = Client::connect(&server.conninfo(database), NoTls)?;
    let table: String = client.query_one(TABLE, &[&queue])?.get(0);
    let row = client.query_one(&format!("{CONTENTS}{table}) events"), &[])?;
    let count = |column: usize| row.get::<_, i64>(column).unsigned_abs();
    Ok(Contents {
        events: count(0),
        distinct: count(1),
        bytes: count(2),
        unordered: row.get(3),
        ordered: row.get(4),
    })
}
