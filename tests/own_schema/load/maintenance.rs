//! Ticks, rotation and retried events.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use postgres::error::SqlState;

use super::{Load, QUEUES, count};

/// Runs until the load is done, and notes the rotations.
///
/// Every third round is in transactions that keep their snapshot, and may be refused.
pub(super) fn run(load: &Load) {
    let mut client = load.client();
    let mut round = 0;
    while !load.done.load(Ordering::SeqCst) {
        round += 1;
        let level = if round % 3 == 0 { "repeatable read" } else { "read committed" };
        client.batch_execute(&format!("set default_transaction_isolation = '{level}'")).expect("set");
        for statement in [
            "select pgq.ticker()",
            "select pgq.ticker('wide')",
            "select pgq.maint_retry_events()",
            "select pgq.maint_rotate_tables_step1('wide')",
            "select pgq.maint_rotate_tables_step1('tight')",
            "select pgq.maint_rotate_tables_step2()",
        ] {
            if let Err(error) = client.batch_execute(statement) {
                let refused =
                    error.code() == Some(&SqlState::T_R_SERIALIZATION_FAILURE) && level != "read committed";
                assert!(refused, "{statement}: {error:?}");
                count(&load.counts.refused_maintenance);
            }
        }
        let switches = "select queue_name, queue_switch_step1 from pgq.queue where queue_name = any ($1)";
        let switches = client.query(switches, &[&&QUEUES[..]]).expect("readable");
        let mut rotations = load.rotations.lock().expect("rotations");
        rotations.extend(switches.iter().map(|row| (row.get(0), row.get(1))));
        drop(rotations);
        thread::sleep(Duration::from_millis(10));
    }
}
