//! Finds out what holds up rotations that are due.

use postgres::types::Type;
use postgres::{GenericClient, Row};

use super::read::{query, seconds};
use super::{Holder, QueueStatus, Transaction};
use crate::Error;
use crate::schema::Kind;
use crate::sql::status as sql;

/// What decides whether a queue's tables can be rotated: ids of transactions, and a table.
pub(super) struct Rotating {
    /// The last rotation; `None` as long as it is not finished.
    rotated_by: Option<i64>,
    /// The oldest that ran at the last tick, if there is one.
    oldest_at_tick: Option<i64>,
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
            oldest_now: row.get("oldest_now"),
            table: format!("{}_{}", row.get::<_, &str>("prefix"), row.get::<_, i32>("next_table")),
            is_careful: schema == Some(Kind::Own),
        })
    }

    /// Tells whether a consumer stands at a tick from which the oldest table is needed, although the queue has
    /// a later one.
    pub(super) fn waits_for_consumer(&self, row: &Row) -> bool {
        let needs = |oldest: Option<i64>| Some(oldest? <= self.rotated_by?);
        needs(row.get("oldest_at_tick")) == Some(true) && needs(self.oldest_at_tick) == Some(false)
    }

    fn wait(&self, queue: &QueueStatus) -> Wait {
        let Some(rotated_by) = self.rotated_by else { return Wait::Maintenance };
        if queue.consumers.iter().any(|consumer| consumer.holds_up_rotation) {
            return Wait::Consumers;
        }
        let has_position = queue.consumers.iter().any(|consumer| consumer.last_tick.is_some());
        match self.oldest_at_tick {
            _ if self.oldest_now <= rotated_by && (has_position || self.is_careful) => {
                Wait::Transactions(rotated_by)
            }
            Some(oldest) if oldest <= rotated_by && has_position => Wait::Ticker,
            _ => Wait::Locks,
        }
    }
}

/// Names what holds up the queues' rotations; `rotating` has what is known of each of them.
pub(super) fn name_holders(
    client: &mut impl GenericClient,
    queues: &mut [QueueStatus],
    rotating: Vec<Option<Rotating>>,
) -> Result<(), Error> {
    let (mut transactions, mut locks) = (Vec::new(), Vec::new());
    for (queue, rotating) in queues.iter_mut().zip(rotating) {
        let Some(rotating) = rotating else { continue };
        match rotating.wait(queue) {
            Wait::Consumers => queue.rotation.held_up_by = consumers(queue),
            Wait::Ticker => queue.rotation.held_up_by = vec![Holder::Ticker],
            Wait::Maintenance => queue.rotation.held_up_by = vec![Holder::Maintenance],
            Wait::Transactions(newest) => transactions.push((queue, newest)),
            Wait::Locks => locks.push((queue, rotating.table)),
        }
    }
    name_transactions(client, transactions)?;
    name_locks(client, locks)
}

/// Returns the consumers that hold up the rotation, the one farthest behind first.
fn consumers(queue: &QueueStatus) -> Vec<Holder> {
    let mut behind: Vec<_> = queue.consumers.iter().filter(|consumer| consumer.holds_up_rotation).collect();
    behind.sort_by_key(|consumer| consumer.last_tick);
    let holder = |name: &str, lag| Holder::Consumer { name: name.to_owned(), lag };
    behind.iter().map(|consumer| holder(&consumer.name, consumer.lag.unwrap_or_default())).collect()
}

fn name_transactions(
    client: &mut impl GenericClient,
    queues: Vec<(&mut QueueStatus, i64)>,
) -> Result<(), Error> {
    let Some(newest) = queues.iter().map(|(_, newest)| *newest).max() else { return Ok(()) };
    let rows = query(client, sql::OLD_TRANSACTIONS, &[(&newest, Type::INT8)])?;
    for (queue, newest) in queues {
        let old = rows.iter().filter(|row| row.get::<_, i64>("id") <= newest);
        queue.rotation.held_up_by = old.map(|row| Holder::Transaction(transaction(row))).collect();
    }
    Ok(())
}

fn name_locks(client: &mut impl GenericClient, queues: Vec<(&mut QueueStatus, String)>) -> Result<(), Error> {
    if queues.is_empty() {
        return Ok(());
    }
    let tables: Vec<&str> = queues.iter().map(|(_, table)| table.as_str()).collect();
    let rows = query(client, sql::TABLE_LOCKS, &[(&tables, Type::TEXT_ARRAY)])?;
    for (queue, table) in queues {
        let users = rows.iter().filter(|row| row.get::<_, &str>("name") == table);
        let holder = |row| Holder::Lock { table: table.clone(), transaction: transaction(row) };
        queue.rotation.held_up_by = users.map(holder).collect();
    }
    Ok(())
}

/// Returns the transactions that use tables, each once.
pub(crate) fn users_of_tables(
    client: &mut impl GenericClient,
    tables: &[String],
) -> Result<Vec<Transaction>, Error> {
    let rows = query(client, sql::TABLE_LOCKS, &[(&tables, Type::TEXT_ARRAY)])?;
    let mut users: Vec<Transaction> = Vec::new();
    for user in rows.iter().map(transaction) {
        if !users.iter().any(|known| (known.pid, &known.prepared) == (user.pid, &user.prepared)) {
            users.push(user);
        }
    }
    Ok(users)
}

fn transaction(row: &Row) -> Transaction {
    Transaction {
        pid: row.get("pid"),
        prepared: row.get("gid"),
        user: row.get("user_name"),
        application: row.get("application"),
        database: row.get("database"),
        state: row.get("state"),
        age: row.get::<_, Option<f64>>("age").map(seconds),
    }
}
