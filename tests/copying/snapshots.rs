//! A transaction keeps its snapshot, and the tables are rotated: it must not write to one that nobody reads any more.

use pgq::{BulkInsert, NewEvent};
use postgres::Client;
use postgres::error::SqlState;

use super::{KINDS, QUEUE, database, rotate, tick_and_read};
use crate::support::Database;

pub(crate) const LEVELS: [&str; 2] = ["repeatable read", "serializable"];

/// Takes the snapshot of a transaction that uses all tables that report a rotation, and gives it no id.
pub(crate) const TAKE_SNAPSHOT: &str = "select queue_name, pg_relation_filenode(oid), relfilenode from pgq.queue, pg_class \
     where oid = to_regclass(pgq.quote_fqname(queue_data_pfx || '_' || (queue_cur_table + 1) % 3)); \
     select to_regprocedure('pgq.current_event_table(text)'), current_setting('transaction_isolation'); \
     select * from pgq.consumer, pgq.subscription, pgq.tick, pg_proc, pg_namespace, pg_type limit 1";

/// A session that has requested the table before, and whose transaction has its snapshot and has used all tables that
/// report a rotation. The transaction has no id.
fn warmed(database: &Database, level: &str) -> Client {
    let mut client = database.client();
    client.query_one("select pgq.current_event_table($1)", &[&QUEUE]).expect("there");
    client.batch_execute(&format!("begin isolation level {level}; {TAKE_SNAPSHOT}")).expect("begun");
    client
}

/// Starts a writer after a rotation that its snapshot does not contain.
fn check(write: impl Fn(&mut Client) -> Result<(), pgq::Error>) {
    for kind in KINDS {
        for level in LEVELS {
            let (database, mut client) = database(kind);
            let mut late = warmed(&database, level);
            rotate(&mut client, QUEUE);
            let error = write(&mut late).expect_err("the table is not read any more");
            assert_eq!(error.sqlstate(), Some(&SqlState::T_R_SERIALIZATION_FAILURE), "{kind:?}: {error:?}");
            late.batch_execute("commit").expect("ended");
            // The next attempt sees the rotation.
            late.batch_execute(&format!("begin isolation level {level}")).expect("begun");
            write(&mut late).expect("written");
            late.batch_execute("commit").expect("committed");
            assert_eq!(tick_and_read(&mut client, QUEUE), ["late"], "{kind:?} {level}");
        }
    }
}

#[test]
fn a_bulk_insert_behind_a_rotation_fails() {
    // A savepoint, as the driver makes of a transaction within another one.
    check(|client| {
        let mut transaction = client.transaction().expect("within");
        let mut bulk = BulkInsert::start(&mut transaction, QUEUE)?;
        bulk.write(&NewEvent::new("type", "late"))?;
        bulk.finish()?;
        transaction.commit().expect("released");
        Ok(())
    });
}

#[test]
fn an_insert_behind_a_rotation_fails() {
    check(|client| pgq::insert_event(client, QUEUE, "type", "late").map(|_| ()));
}

/// The functions that other programs call.
#[test]
fn the_own_function_fails_behind_a_rotation() {
    for level in LEVELS {
        let (database, mut client) = database(pgq::schema::Kind::Own);
        let mut late = warmed(&database, level);
        rotate(&mut client, QUEUE);
        let error = late.query_one("select pgq.current_event_table($1)", &[&QUEUE]).expect_err("it is late");
        assert_eq!(error.code(), Some(&SqlState::T_R_SERIALIZATION_FAILURE), "{error:?}");
    }
}
