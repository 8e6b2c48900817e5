//! What a call costs does not depend on the number of row versions that an old snapshot keeps.

use super::{installed, old_snapshot};
use crate::own_schema::old_snapshot::assert_steady;

/// Runs rounds under an old snapshot. In them, `N` is the number of the round, and `T` its time.
fn expect_steady(round: &[&str]) {
    let (database, mut client) = installed("records_pages");
    client.batch_execute("create sequence round").expect("created");
    let _holder = old_snapshot(&database);
    let statement = |call: &&str| {
        let call = call.replace("T)", "'2026-01-01'::timestamptz + N * interval '1 s')");
        format!(
            "select {}",
            call.replace("T,", "'2026-01-01'::timestamptz + N * interval '1 s',")
                .replace('N', "currval('round')")
        )
    };
    let calls: Vec<String> = round.iter().map(statement).collect();
    let mut steps = vec!["select nextval('round')"];
    steps.extend(calls.iter().map(String::as_str));
    assert_steady(&database, &mut client, &steps, 3000);
}

#[test]
fn batches() {
    expect_steady(&[
        "pgq_ext.get_batch_status('c', '', N, N, N + 1, T)",
        "pgq_ext.set_batch_done('c', '', N, N, T, N + 1, T)",
    ]);
}

/// One of the subconsumers applies no batches, so its record stays among the versions of the others.
#[test]
fn batches_of_subconsumers() {
    expect_steady(&[
        "case when N = 1 then pgq_ext.set_batch_done('c', 'idle', 0, 0, T, 1, T) end",
        "pgq_ext.get_batch_status('c', 'a', 2 * N, 2 * N, 2 * N + 1, T)",
        "pgq_ext.set_batch_done('c', 'a', 2 * N, 2 * N, T, 2 * N + 1, T)",
        "pgq_ext.get_batch_status('c', 'b', 2 * N + 1, 2 * N + 1, 2 * N + 2, T)",
        "pgq_ext.set_batch_done('c', 'b', 2 * N + 1, 2 * N + 1, T, 2 * N + 2, T)",
        "pgq_ext.is_batch_done_by_any('c', N)",
        "pgq_ext.get_last_batch('c', 'idle')",
        "pgq_ext.get_batch_status('c', 'idle', 0, 0, 1, T)",
    ]);
}

#[test]
fn numbers_of_batches_and_ticks() {
    expect_steady(&[
        "pgq_ext.is_batch_done('c', N)",
        "pgq_ext.set_batch_done('c', N)",
        "pgq_ext.get_last_tick('c')",
        "pgq_ext.set_last_tick('c', N)",
    ]);
}

#[test]
fn ticks() {
    expect_steady(&["pgq_ext.get_checkpoint('c', '')", "pgq_ext.set_last_tick('c', '', N, T)"]);
}

#[test]
fn events() {
    expect_steady(&[
        "pgq_ext.is_event_done('c', '', N, 1, T)",
        "pgq_ext.set_event_done('c', '', N, 1, T)",
        "pgq_ext.is_event_done('c', '', N, 2, T)",
        "pgq_ext.set_event_done('c', '', N, 2, T)",
        "pgq_ext.set_event_done('d', N, 1)",
        "pgq_ext.is_event_done('d', N, 1)",
    ]);
}

#[test]
fn claims() {
    expect_steady(&[
        "pgq_ext.begin_claims('q', 'c', N, T, N, T, T)",
        "pgq_ext.claim_event('q', 'c', N, T, N, T, T, 1, 1)",
        "pgq_ext.claim_event('q', 'c', N, T, N, T, T, 2, 1)",
    ]);
}

/// A process that begins again and again with the batch that it has not finished.
#[test]
fn one_batch_that_is_opened_many_times() {
    let opened = "'2026-01-01'::timestamptz + N * interval '1 s'";
    let call = format!("pgq_ext.begin_claims('q', 'c', 7, '2026-01-01', 3, '2026-01-01', {opened})");
    expect_steady(&[&call]);
}
