//! How much slower rounds become under a snapshot that is held open.

use postgres::Client;

use crate::BoxError;
use crate::aims::{Aim, Bound};
use crate::comparison::{Comparison, timed};

/// The number of rounds, of which the first and the last tenth are compared.
const ROUNDS: u32 = 5_000;

// A ticker does not notice the first event, whose id is the initial value of the sequence.
const PREPARE: [&str; 6] = [
    "select pgq.create_queue('held')",
    "select pgq.set_queue_config('held', 'ticker_max_count', '1')",
    "select pgq.insert_event('held', 'I', 'first')",
    "select pgq.ticker('held')",
    "select pgq.register_consumer('held', 'reader')",
    "select pgq_coop.register_subconsumer('held', 'team', 'one')",
];

const INSERT: [&str; 2] = ["select pgq.insert_event('held', 'I', 'data')", "select pgq.ticker('held')"];
const NEXT: &str = "select set_config('bench.batch', pgq.next_batch('held', 'reader')::text, false)";
const NEXT_COOP: &str =
    "select set_config('bench.batch', pgq_coop.next_batch('held', 'team', 'one')::text, false)";
const READ: &str = "select count(*) from pgq.get_batch_events(current_setting('bench.batch')::bigint)";
const RETRY: &str = "select pgq.event_retry(current_setting('bench.batch')::bigint, ev_id, 0) \
     from pgq.get_batch_events(current_setting('bench.batch')::bigint) where ev_retry is null";
const FINISH: &str = "select pgq.finish_batch(current_setting('bench.batch')::bigint)";
const FINISH_COOP: &str = "select pgq_coop.finish_batch(current_setting('bench.batch')::bigint)";

/// Measures both schemas. Only the own one has an aim; the extension's figures are for comparison.
///
/// # Errors
///
/// When the server fails.
pub(crate) fn measure(comparison: &mut Comparison) -> Result<Vec<Aim>, BoxError> {
    for statement in PREPARE {
        comparison.both(statement)?;
    }
    let _holders = comparison.others(|mut client| {
        client.batch_execute("begin isolation level repeatable read; select from pgq.queue")?;
        Ok(client)
    })?;
    let mut aims = Vec::new();
    for (name, round) in [
        ("batches", vec![NEXT, READ, FINISH]),
        ("batches of a subconsumer", vec![NEXT_COOP, READ, FINISH_COOP]),
        ("batches with a retry", vec![NEXT, RETRY, FINISH, "select pgq.maint_retry_events()"]),
    ] {
        let round = [&INSERT[..], &round].concat();
        let [extension, own] = comparison.each(|client| steadiness(client, &round))?;
        for (schema, figure, least) in
            [("own schema", own, 0.9), ("extension, for comparison", extension, 0.0)]
        {
            aims.push(Aim {
                name: format!("{name}, last tenth of {ROUNDS} rounds, {schema}"),
                unit: "x first",
                figure,
                bound: Bound::AtLeast(least),
            });
        }
    }
    Ok(aims)
}

/// Returns the speed of the last tenth of the rounds, compared with the first.
fn steadiness(client: &mut Client, round: &[&str]) -> Result<f64, BoxError> {
    let steps: String = round.iter().map(|step| format!("execute $step${step}$step$; commit; ")).collect();
    let tenth = format!("do $do$ begin for n in 1 .. {} loop {steps} end loop; end $do$", ROUNDS / 10);
    let mut times = Vec::new();
    for _ in 0..10 {
        times.push(timed(|| client.batch_execute(&tenth))?.0.as_secs_f64());
    }
    Ok(times[0] / times[9])
}
