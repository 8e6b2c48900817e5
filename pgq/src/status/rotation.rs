//! Finding what holds up rotations that are due.

use crate::sql::status::of_transactions;
use dbscript::param::{int8, text_array};
use postgres::{GenericClient, Row};

use super::query::query;
use super::{QueueStatus, RotationBlocker};
use crate::error::Error;
use crate::lock::transaction::{Transaction, transaction};
use crate::schema::Kind;
use crate::sql::status as sql;

/// The transaction ids and the table that decide whether a queue's tables can be rotated.
pub(super) struct RotationState {
    /// The transaction of the last rotation; `None` while that rotation is not finished.
    rotated_by: Option<i64>,
    /// The oldest transaction that was running at the last tick; `None` without a tick.
    oldest_at_tick: Option<i64>,
    /// The first transaction that had not begun at the last tick; `None` without a tick.
    next_at_tick: Option<i64>,
    /// The oldest transaction that is running now.
    oldest_now: i64,
    /// The table that the rotation would truncate.
    table: String,
    /// Whether running transactions hold up the rotation of a queue without consumers, as with the own schema.
    waits_without_consumers: bool,
}

/// The reason for which a due rotation waits.
enum Wait {
    Consumers,
    Ticker,
    Maintenance,
    /// Transactions with this id or an older one.
    Transactions(i64),
    /// Users of the table, if there are any.
    Locks,
}

impl RotationState {
    /// Reads the state of a queue whose rotation is due; `None` for any other queue.
    pub(super) fn from_row(row: &Row, schema: Option<Kind>) -> Option<RotationState> {
        row.get::<_, bool>("due").then(|| RotationState {
            rotated_by: row.get("rotated_by"),
            oldest_at_tick: row.get("oldest_at_tick"),
            next_at_tick: row.get("next_at_tick"),
            oldest_now: row.get("oldest_now"),
            table: format!("{}_{}", row.get::<_, &str>("prefix"), row.get::<_, i32>("next_table")),
            waits_without_consumers: schema == Some(Kind::Own),
        })
    }

    /// Returns whether a consumer holds up the rotation, alone or beside other causes:
    ///
    /// - the consumer's tick needs the oldest table, and the queue's last tick does not; or
    /// - the consumer's tick is from before the last rotation, and the queue's last tick is not.
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
        if self.oldest_now <= rotated_by && (has_position || self.waits_without_consumers) {
            waits.push(Wait::Transactions(rotated_by));
        } else if has_position && self.oldest_at_tick.is_some_and(|oldest| oldest <= rotated_by) {
            waits.push(Wait::Ticker);
        }
        if waits.is_empty() { vec![Wait::Locks] } else { waits }
    }
}

/// Finds what holds up the queues' rotations. `states` has one element for each queue.
///
/// A standby shows the locks of its own sessions only, which hold up no rotation on the primary. So on a standby a
/// transaction is listed without details, and users of tables are not listed.
pub(super) fn find_holders(
    client: &mut impl GenericClient,
    queues: &mut [QueueStatus],
    states: Vec<Option<RotationState>>,
    is_standby: bool,
) -> Result<(), Error> {
    let (mut transactions, mut locks) = (Vec::new(), Vec::new());
    for (at, state) in states.into_iter().enumerate() {
        let Some(state) = state else { continue };
        let queue = &mut queues[at];
        for wait in state.waits(queue) {
            match wait {
                Wait::Consumers => queue.rotation.held_up_by = consumers(queue),
                Wait::Ticker => queue.rotation.held_up_by.push(RotationBlocker::Ticker),
                Wait::Maintenance => queue.rotation.held_up_by.push(RotationBlocker::Maintenance),
                Wait::Transactions(_) if is_standby => {
                    queue.rotation.held_up_by.push(RotationBlocker::Transaction(Transaction::default()));
                }
                Wait::Transactions(newest) => transactions.push((at, newest)),
                Wait::Locks if is_standby => {}
                Wait::Locks => locks.push((at, state.table.clone())),
            }
        }
    }
    add_transactions(client, queues, &transactions)?;
    add_locks(client, queues, &locks)
}

/// Returns the consumers that hold up the rotation, the one with the largest lag first.
fn consumers(queue: &QueueStatus) -> Vec<RotationBlocker> {
    let mut behind: Vec<_> = queue.consumers.iter().filter(|consumer| consumer.holds_up_rotation).collect();
    behind.sort_by_key(|consumer| consumer.last_tick);
    let holder = |name: &str, lag| RotationBlocker::Consumer { name: name.to_owned(), lag };
    behind.iter().map(|consumer| holder(&consumer.name, consumer.lag.unwrap_or_default())).collect()
}

/// $1 a transaction id. Returns the cluster's running transactions with this id or an older one, the oldest first.
///
/// Every role may see the locks that transactions hold on their own ids. The locks show the lower 32 bits of an id,
/// which suffice: no running transaction is farther than 2^31 from the next id.
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

/// Adds the transactions that hold up rotations. `held` lists indexes of queues, each with the newest transaction id
/// that holds it up.
fn add_transactions(
    client: &mut impl GenericClient,
    queues: &mut [QueueStatus],
    held: &[(usize, i64)],
) -> Result<(), Error> {
    let Some(newest) = held.iter().map(|(_, newest)| *newest).max() else { return Ok(()) };
    let rows = query(client, OLD_TRANSACTIONS, &[int8(&newest)])?;
    for (at, newest) in held {
        let old = rows.iter().filter(|row| row.get::<_, i64>("id") <= *newest);
        queues[*at].rotation.held_up_by.extend(old.map(|row| RotationBlocker::Transaction(transaction(row))));
    }
    Ok(())
}

/// Adds the transactions that use a table which a rotation would truncate. `held` lists indexes of queues, each with
/// that table.
fn add_locks(
    client: &mut impl GenericClient,
    queues: &mut [QueueStatus],
    held: &[(usize, String)],
) -> Result<(), Error> {
    if held.is_empty() {
        return Ok(());
    }
    let tables: Vec<&str> = held.iter().map(|(_, table)| table.as_str()).collect();
    let rows = query(client, sql::TABLE_LOCKS, &[text_array(&tables)])?;
    for (at, table) in held {
        let users = rows.iter().filter(|row| row.get::<_, &str>("name") == table);
        let holder = |row| RotationBlocker::Lock { table: table.clone(), transaction: transaction(row) };
        queues[*at].rotation.held_up_by.extend(users.map(holder));
    }
    Ok(())
}
