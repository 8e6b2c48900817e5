//! How much the server writes to its log for an event.

use postgres::Client;

use crate::BoxError;
use crate::comparison::Comparison;
use crate::ticking::Table;

/// The number of repetitions, which hide what else the server writes.
const TIMES: u32 = 500;

const PREPARE: [&str; 3] = [
    "select pgq.create_queue('logged')",
    "select pgq.set_queue_config('logged', 'ticker_max_count', '1')",
    "select pgq.register_consumer('logged', 'reader')",
];

/// Measures both schemas, in bytes an event.
///
/// # Errors
///
/// When the server fails.
pub(crate) fn measure(comparison: &mut Comparison) -> Result<Table, BoxError> {
    for statement in PREPARE {
        comparison.both(statement)?;
    }
    let mut rows = Vec::new();
    for size in [1, 100] {
        let insert = format!(
            "select count(pgq.insert_event('logged', 'I', repeat('x', 75))) from generate_series(1, {size})"
        );
        let consume = format!("select pgq.ticker('logged'), {size}");
        for (name, statements) in [
            (format!("insert, {size} in a transaction"), vec![insert.as_str()]),
            (
                format!("insert and consume, {size} in a batch"),
                vec![
                    &insert,
                    &consume,
                    "select pgq.next_batch('logged', 'reader')",
                    "select pgq.finish_batch(max(sub_batch)) from pgq.subscription",
                ],
            ),
        ] {
            let bytes = comparison.each(|client| bytes(client, &statements))?;
            rows.push((name, bytes.iter().map(|bytes| bytes / f64::from(TIMES * size)).collect()));
        }
    }
    comparison.both("select pgq.drop_queue('logged', true)")?;
    Ok(Table { title: "bytes of WAL an event".to_owned(), columns: vec!["extension", "own"], rows })
}

/// Returns the bytes that the server writes for repeated transactions. Pages that a checkpoint lets the server write whole
/// are written by a first run.
fn bytes(client: &mut Client, statements: &[&str]) -> Result<f64, BoxError> {
    let run = |client: &mut Client| {
        (0..TIMES).try_for_each(|_| statements.iter().try_for_each(|one| client.batch_execute(one)))
    };
    run(client)?;
    let position = "select pg_current_wal_insert_lsn() - '0/0'::pg_lsn";
    let at = |client: &mut Client| -> Result<f64, BoxError> {
        let position = client.query_one(&format!("select ({position})::float8"), &[])?;
        Ok(position.get(0))
    };
    let before = at(client)?;
    run(client)?;
    Ok(at(client)? - before)
}
