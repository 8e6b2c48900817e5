//! There is one row of each key, whichever sessions write at once and whatever they run.

use std::thread;

use postgres::Client;
use postgres::error::SqlState;

use super::{TABLES, assert_unique, installed, old_snapshot, text};
use crate::support::{Database, wait_for};

/// Calls that insert the first row of a consumer in one table or several.
const FIRST: [&str; 6] = [
    "select pgq_ext.set_batch_done('c', 1)",
    "select pgq_ext.set_batch_done('c', 's', 1, 1, '2026-01-01', 2, '2026-01-02')",
    "select pgq_ext.set_last_tick('c', '', 1, '2026-01-01')",
    "select pgq_ext.set_event_done('c', 1, 1)",
    "select pgq_ext.set_event_done('c', 's', 1, 1, '2026-01-01')",
    "select pgq_ext.begin_claims('q', 'c', 1, '2026-01-01', 2, '2026-01-01', '2026-01-01')",
];

/// The same, written by hand.
const BY_HAND: [&str; 6] = [
    "insert into pgq_ext.completed_tick values ('c', '', 1)",
    "insert into pgq_ext.completed_batch values ('c', '', 1)",
    "insert into pgq_ext.checkpoint values ('c', '', 'tick', 1, 1, 1, '2026-01-01')",
    "insert into pgq_ext.partial_batch values ('c', '', 1)",
    "insert into pgq_ext.completed_range values ('c', '{[1,2)}', 2, '2026-01-01')",
    "insert into pgq_ext.claimed_batch values ('q', 'c', 1, 1, '2026-01-01', '2026-01-01')",
];

/// Runs a statement in one session while another one, which has run it too, ends with `end`. Returns the error's code.
fn run_both(database: &Database, level: &str, statement: &str, end: &str) -> Option<SqlState> {
    let (mut first, mut second) = (database.client(), database.client());
    let begin = format!("begin isolation level {level}; select from pgq_ext.completed_event");
    for client in [&mut first, &mut second] {
        client.batch_execute(&begin).expect("begun");
    }
    first.batch_execute(statement).expect("the first one");
    let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    thread::scope(|scope| {
        let other = scope.spawn(move || {
            second.batch_execute(statement).map_err(|error| error.code().cloned().expect("the server's"))?;
            second.batch_execute("commit").map_err(|error| error.code().cloned().expect("the server's"))
        });
        let mut watcher = database.client();
        wait_for("the second to wait", || {
            watcher.query_one(waiting, &[]).expect("readable").get::<_, i64>(0) == 1
        });
        first.batch_execute(end).expect("ended");
        other.join().expect("no panic").err()
    })
}

fn count_all(client: &mut Client) -> String {
    let counts = TABLES.map(|(table, _)| format!("(select count(*) from pgq_ext.{table})"));
    text(client, &counts.join(" + "))
}

#[test]
fn two_sessions_that_record_the_first_batch_at_once_make_one_row() {
    let (database, mut client) = installed("records_first");
    for call in FIRST {
        assert_eq!(run_both(&database, "read committed", call, "commit"), None, "{call}");
        assert_unique(&mut client);
        client
            .batch_execute("select pgq_ext.forget_batches('c'), pgq_ext.set_last_tick('c', null)")
            .expect("empty");
    }
}

#[test]
fn the_first_batch_of_a_session_that_rolls_back_is_recorded_by_the_other() {
    let (database, mut client) = installed("records_rollback");
    for (level, call) in
        ["read committed", "repeatable read"].into_iter().flat_map(|level| FIRST.map(|call| (level, call)))
    {
        assert_eq!(run_both(&database, level, call, "rollback"), None, "{call}");
        assert_ne!(count_all(&mut client), "0", "{call}");
        assert_unique(&mut client);
        client
            .batch_execute("select pgq_ext.forget_batches('c'), pgq_ext.set_last_tick('c', null)")
            .expect("empty");
        assert_eq!(count_all(&mut client), "0");
    }
}

#[test]
fn an_old_snapshot_gets_a_serialization_failure_and_no_second_row() {
    let failure = Some(SqlState::T_R_SERIALIZATION_FAILURE);
    for call in FIRST {
        let (database, mut client) = installed("records_old");
        assert_eq!(run_both(&database, "repeatable read", call, "commit"), failure, "{call}");
        assert_unique(&mut client);
        // Now with a key that was recorded, removed and recorded again since.
        client
            .batch_execute("select pgq_ext.forget_batches('c'), pgq_ext.set_last_tick('c', null)")
            .expect("empty");
        let mut old = old_snapshot(&database);
        client.batch_execute(call).expect("recorded");
        let error = old.batch_execute(call).expect_err("too old");
        assert_eq!(error.code(), failure.as_ref(), "{call}: {error:?}");
        old.batch_execute("rollback").expect("ended");
        assert_unique(&mut client);
    }
}

#[test]
fn a_second_row_by_hand_is_refused() {
    let (_database, mut client) = installed("records_hand");
    for ((table, _), insert) in TABLES.into_iter().zip(BY_HAND) {
        client.batch_execute(insert).expect("the first");
        let error = client.batch_execute(insert).expect_err("the second");
        let refused = error.as_db_error().expect("the server's");
        assert_eq!(refused.code(), &SqlState::UNIQUE_VIOLATION, "{refused}");
        assert_eq!((refused.table(), refused.constraint()), (Some(table), Some(&*format!("{table}_pkey"))));
        let rename = format!("update pgq_ext.{table} set consumer_id = 'd'");
        client.batch_execute(&rename).expect("renamed");
        client.batch_execute(insert).expect("another key");
        let error = client.batch_execute(&rename).expect_err("both are one");
        assert_eq!(error.code(), Some(&SqlState::UNIQUE_VIOLATION), "{error}");
        // The table of keys alone decides nothing.
        client.batch_execute("truncate pgq_ext.applied_key").expect("emptied");
        let error = client.batch_execute(insert).expect_err("the second");
        assert_eq!(error.code(), Some(&SqlState::UNIQUE_VIOLATION), "{error}");
        client.batch_execute(&format!("delete from pgq_ext.{table}; {insert}")).expect("the first again");
    }
    assert_unique(&mut client);
}

#[test]
fn second_rows_by_hand_in_two_sessions_are_refused() {
    for ((table, _), insert) in TABLES.into_iter().zip(BY_HAND) {
        let (database, mut client) = installed("records_hands");
        for (level, code) in [
            ("read committed", SqlState::UNIQUE_VIOLATION),
            ("repeatable read", SqlState::T_R_SERIALIZATION_FAILURE),
        ] {
            assert_eq!(run_both(&database, level, insert, "commit"), Some(code), "{insert}");
            assert_unique(&mut client);
            client.batch_execute(&format!("delete from pgq_ext.{table}")).expect("removed");
        }
    }
}

#[test]
fn the_trigger_serves_no_other_table() {
    let (_database, mut client) = installed("records_trigger");
    client
        .batch_execute(
            "create table other (consumer_id text); \
             create trigger t after insert on other for each row execute function pgq_ext._unique_key('consumer_id')",
        )
        .expect("the owner may");
    let error = client.batch_execute("insert into other values ('c')").expect_err("refused");
    assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{error}");
}
