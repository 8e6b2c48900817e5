//! Finds out what holds up rotations that are due.

use crate::sql::status::of_transactions;
use postgres::types::Type;
use postgres::{GenericClient, Row};

use super::query::query;
use super::{Holder, QueueStatus};
use crate::error::Error;
use crate::lock::transaction::{Transaction, transaction};
use crate::schema::Kind;
use crate::sql::status as sql;

/// What decides whether a queue's tables can be rotated: ids of transactions, and a table.
pub(super) struct Rotating {
    /// The last rotation; `None` as long as it is not finished.
    rotated_by: Option<i64>,
    /// The oldest that ran at the last tick, if there is one.
    oldest_at_tick: Option<i64>,
    /// The first that had not begun at the last tick, if there is one.
    next_at_tick: Option<i64>,
    /// The oldest that runs now.
    oldest_now: i64,
    /// The table to be emptied.
    table: String,
    /// Whether transactions matter without consumers, which the extension does not mind.
    is_careful: bool,
}

/// What a rotation that is due waits for.
enum Wait {
    Consumers,
    Ticker,
    Maintenance,
    /// Transactions with this id or an older one.
    Transactions(i64),
    /// Who uses the table, if anybody does.
    Locks,
}

impl Rotating {
    /// Reads it from a row about a queue whose rotation is due; `None` for another queue.
    pub(super) fn of(row: &Row, schema: Option<Kind>) -> Option<Rotating> {
        row.get::<_, bool>("due").then(|| Rotating {
            rotated_by: row.get("rotated_by"),
            oldest_at_tick: row.get("oldest_at_tick"),
            next_at_tick: row.get("next_at_tick"),
            oldest_now: row.get("oldest_now"),
            table: format!("{}_{}", row.get::<_, &str>("prefix"), row.get::<_, i32>("next_table")),
            is_careful: schema == Some(Kind::Own),
        })
    }

    /// Returns whether a consumer would hold up the rotation if nothing else did: it stands at a tick from which the
    /// oldest table is needed, and the queue has one from which it is not; or it stands at a tick from before the
    /// last rotation, and the queue has a later one.
    pub(super) fn waits_for_consumer(&self, row: &Row) -> bool {
        let is_old = |id: Option<i64>| Some(id? <= self.rotated_by?);
        let between = |own, last| is_old(own) == Some(true) && is_old(last) == Some(false);
        between(row.get("oldest_at_tick"), self.oldest_at_tick)
            || between(row.get("next_at_tick"), self.next_at_tick)
    }

    fn waits(&self, queue: &QueueStatus) -> Vec<Wait> {
        let Some(rotated_by) = self.rotated_by else { return vec![Wait::Maintenance] };
        let has_position = queue.consumers.iter().any(|consumer| consumer.last_tick.is_some());
        let mut waits = Vec::new();
        if queue.consumers.iter().any(|consumer| consumer.holds_up_rotation) {
            waits.push(Wait::Consumers);
        }
        if self.oldest_now <= rotated_by && (has_position || self.is_careful) {
            waits.push(Wait::Transactions(rotated_by));
        } else if has_position && self.oldest_at_tick.is_some_and(|oldest| oldest <= rotated_by) {
            waits.push(Wait::Ticker);
        }
        if waits.is_empty() { vec![Wait::Locks] } else { waits }
    }
}

/// Names what holds up the queues' rotations; `rotating` has what is known of each of them.
///
/// The locks of a standby are its own: they do not tell which transaction of the primary it is, and hold up nothing.
pub(super) fn name_holders(
    client: &mut impl GenericClient,
    queues: &mut [QueueStatus],
    rotating: Vec<Option<Rotating>>,
    is_standby: bool,
) -> Result<(), Error> {
    let (mut transactions, mut locks) = (Vec::new(), Vec::new());
    for (at, rotating) in rotating.into_iter().enumerate() {
        let Some(rotating) = rotating else { continue };
        let queue = &mut queues[at];
        for wait in rotating.waits(queue) {
            match wait {
                Wait::Consumers => queue.rotation.held_up_by = consumers(queue),
                Wait::Ticker => queue.rotation.held_up_by.push(Holder::Ticker),
                Wait::Maintenance => queue.rotation.held_up_by.push(Holder::Maintenance),
                Wait::Transactions(_) if is_standby => {
                    queue.rotation.held_up_by.push(Holder::Transaction(Transaction::default()));
                }
                Wait::Transactions(newest) => transactions.push((at, newest)),
                Wait::Locks if is_standby => {}
                Wait::Locks => locks.push((at, rotating.table.clone())),
            }
        }
    }
    name_transactions(client, queues, &transactions)?;
    name_locks(client, queues, &locks)
}

/// Returns the consumers that hold up the rotation, the one farthest behind first.
fn consumers(queue: &QueueStatus) -> Vec<Holder> {
    let mut behind: Vec<_> = queue.consumers.iter().filter(|consumer| consumer.holds_up_rotation).collect();
    behind.sort_by_key(|consumer| consumer.last_tick);
    let holder = |name: &str, lag| Holder::Consumer { name: name.to_owned(), lag };
    behind.iter().map(|consumer| holder(&consumer.name, consumer.lag.unwrap_or_default())).collect()
}

/// $1 a transaction's id. The cluster's running transactions with this id or an older one, the oldest first.
///
/// Everybody may see the locks that transactions have on their ids. They show 32 bits; no running transaction is
/// farther than 2^31 from the next id.
const OLD_TRANSACTIONS: &str = of_transactions!(
    "held.id",
    "select * from ( \
         select pid, virtualtransaction, pg_catalog.min(next - ((next - short + 2147483648) & 4294967295) + 2147483648) as id \
         from (select pid, virtualtransaction, transactionid::pg_catalog.text::pg_catalog.int8 as short from locks \
               where locktype = 'transactionid' and mode = 'ExclusiveLock') running, \
              (select pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()) as next) counter \
         group by 1, 2) running \
     where id <= $1"
);

/// Names transactions that hold up the queues at these places, for each with the id of the newest one that does.
fn name_transactions(
    client: &mut impl GenericClient,
    queues: &mut [QueueStatus],
    held: &[(usize, i64)],
) -> Result<(), Error> {
    let Some(newest) = held.iter().map(|(_, newest)| *newest).max() else { return Ok(()) };
    let rows = query(client, OLD_TRANSACTIONS, &[(&newest, Type::INT8)])?;
    for (at, newest) in held {
        let old = rows.iter().filter(|row| row.get::<_, i64>("id") <= *newest);
        queues[*at].rotation.held_up_by.extend(old.map(|row| Holder::Transaction(transaction(row))));
    }
    Ok(())
}

/// Names who uses the tables that are to be emptied, of the queues at these places.
fn name_locks(
    client: &mut impl GenericClient,
    queues: &mut [QueueStatus],
    held: &[(usize, String)],
) -> Result<(), Error> {
    if held.is_empty() {
        return Ok(());
    }
    let tables: Vec<&str> = held.iter().map(|(_, table)| table.as_str()).collect();
    let rows = query(client, sql::TABLE_LOCKS, &[(&tables, Type::TEXT_ARRAY)])?;
    for (at, table) in held {
        let users = rows.iter().filter(|row| row.get::<_, &str>("name") == table);
        let holder = |row| Holder::Lock { table: table.clone(), transaction: transaction(row) };
        queues[*at].rotation.held_up_by.extend(users.map(holder));
    }
    Ok(())
}
