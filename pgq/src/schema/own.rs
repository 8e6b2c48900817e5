//! The schema that this crate carries: SQL and PL/pgSQL.

use super::script::Script;

/// Includes files of `sql/`, named without it and without their ending.
macro_rules! files {
    ($($name:literal),* $(,)?) => { &[$(include_str!(concat!("../../sql/", $name, ".sql"))),*] };
}
pub(super) use files;

<<<<<<< HEAD
/// PgQ itself.
pub(super) static PGQ: Script = Script {
    name: "PgQ in SQL",
    release: 1,
    object: "schema pgq",
    files: files![
        "guard",
        "tables",
        "functions/version",
        "functions/upgrade_schema",
        "functions/quote_fqname",
        "functions/seq_getval",
        "functions/seq_setval",
        "functions/create_queue",
        "functions/drop_queue",
        "functions/set_queue_config",
        "functions/grant_perms",
        "functions/_grant_perms_from",
        "functions/tune_storage",
        "functions/current_event_table",
        "functions/_check_insert",
        "functions/insert_event_raw",
        "functions/insert_event",
        "functions/ticker",
        "functions/force_tick",
        "functions/register_consumer_at",
        "functions/register_consumer",
        "functions/unregister_consumer",
        "functions/find_tick_helper",
        "functions/next_batch_custom",
        "functions/next_batch_info",
        "functions/next_batch",
        "functions/batch_event_tables",
        "functions/batch_event_sql",
        "functions/get_batch_events",
        "functions/get_batch_cursor",
        "functions/get_batch_info",
        "functions/event_retry",
        "functions/event_retry_raw",
        "functions/batch_retry",
        "functions/finish_batch",
        "functions/maint_retry_events",
        "functions/maint_rotate_tables_step1",
        "functions/maint_rotate_tables_step2",
        "functions/maint_tables_to_vacuum",
        "functions/maint_operations",
        "functions/get_queue_info",
        "functions/get_consumer_info",
        "triggers/drop",
        "triggers/types",
        "triggers/jsontriga",
        "triggers/logutriga",
        "triggers/sqltriga",
        "triggers/tg_arguments",
        "triggers/tg_changes",
        "triggers/tg_check",
        "triggers/tg_columns",
        "triggers/tg_customize",
        "triggers/tg_evaluate",
        "triggers/tg_facts",
        "triggers/tg_is_json",
        "triggers/tg_is_loose",
        "triggers/tg_is_wanted",
        "triggers/tg_json_row",
        "triggers/tg_json_strings",
        "triggers/tg_lists",
        "triggers/tg_literals",
        "triggers/tg_query",
        "triggers/tg_query_type",
        "triggers/tg_relation",
        "triggers/tg_sql_update",
        "triggers/tg_sql_where",
        "triggers/tg_templates",
        "triggers/tg_urlencode",
        "triggers/tg_urlencode_row",
        "triggers/tg_values",
        "triggers/tg_wide_values",
        "grants",
    ],
};
=======
const TABLES: &[&str] = files!["tables"];

const FUNCTIONS: &[&str] = files![
    "functions/version",
    "functions/upgrade_schema",
    "functions/quote_fqname",
    "functions/seq_getval",
    "functions/seq_setval",
    "functions/create_queue",
    "functions/drop_queue",
    "functions/set_queue_config",
    "functions/grant_perms",
    "functions/_grant_perms_from",
    "functions/tune_storage",
    "functions/current_event_table",
    "functions/insert_event_raw",
    "functions/insert_event",
    "functions/ticker",
    "functions/force_tick",
    "functions/register_consumer_at",
    "functions/register_consumer",
    "functions/unregister_consumer",
    "functions/find_tick_helper",
    "functions/next_batch_custom",
    "functions/next_batch_info",
    "functions/next_batch",
    "functions/batch_event_tables",
    "functions/batch_event_sql",
    "functions/get_batch_events",
    "functions/get_batch_cursor",
    "functions/get_batch_info",
    "functions/event_retry",
    "functions/event_retry_raw",
    "functions/batch_retry",
    "functions/finish_batch",
    "functions/maint_retry_events",
    "functions/maint_rotate_tables_step1",
    "functions/maint_rotate_tables_step2",
    "functions/maint_tables_to_vacuum",
    "functions/maint_operations",
    "functions/get_queue_info",
    "functions/get_consumer_info",
];

const TRIGGERS: &[&str] = files![
    "triggers/types",
    "triggers/jsontriga",
    "triggers/logutriga",
    "triggers/sqltriga",
    "triggers/tg_arguments",
    "triggers/tg_changes",
    "triggers/tg_check",
    "triggers/tg_columns",
    "triggers/tg_customize",
    "triggers/tg_evaluate",
    "triggers/tg_facts",
    "triggers/tg_is_json",
    "triggers/tg_is_loose",
    "triggers/tg_is_wanted",
    "triggers/tg_json_row",
    "triggers/tg_json_strings",
    "triggers/tg_lists",
    "triggers/tg_names",
    "triggers/tg_query",
    "triggers/tg_query_type",
    "triggers/tg_relation",
    "triggers/tg_sql_insert",
    "triggers/tg_sql_update",
    "triggers/tg_sql_where",
    "triggers/tg_templates",
    "triggers/tg_types",
    "triggers/tg_urlencode",
    "triggers/tg_urlencode_row",
    "triggers/tg_values",
    "triggers/tg_wide_values",
];

const GRANTS: &[&str] = files!["grants"];

/// The beginning of the schema's comment, by which it is known again.
const MARK: &str = "PgQ in SQL, release ";

/// Counts the releases of the schema; a higher one replaces a lower one, never the other way round.
const RELEASE: u32 = 1;

/// Returns the whole schema that this crate carries as one script, to be run in one transaction.
///
/// It can be run again, also over an older release of itself, whose queues and events stay.
pub fn sql() -> String {
    let parts = [TABLES, FUNCTIONS, TRIGGERS, GRANTS].concat();
    let script = parts.join("\n");
    let comment = format!("\ncomment on schema pgq is '{}';\n", mark(&script));
    script + &comment
}

/// How the schema in a database compares with this crate's.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Age {
    Older,
    Same,
    Newer,
}

/// Compares a schema's comment with this crate's; `None` when it is no comment of this crate.
pub(super) fn age(comment: &str) -> Option<Age> {
    let release: u32 = comment.strip_prefix(MARK)?.split(',').next()?.parse().ok()?;
    let ours = sql();
    Some(match release {
        newer if newer > RELEASE => Age::Newer,
        _ if ours.contains(&format!("'{comment}'")) => Age::Same,
        _ => Age::Older,
    })
}

/// Makes the schema's comment: its release, and a fingerprint of its text.
fn mark(script: &str) -> String {
    let hash = script.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    format!("{MARK}{RELEASE}, {hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comment_tells_the_age() {
        let script = sql();
        let comment = script.lines().last().and_then(|line| line.split('\'').nth(1)).expect("a comment");
        assert_eq!(age(comment), Some(Age::Same));
        assert_eq!(age(&format!("{MARK}{RELEASE}, 0123456789abcdef")), Some(Age::Older));
        assert_eq!(age(&format!("{MARK}{}, 0123456789abcdef", RELEASE + 1)), Some(Age::Newer));
        assert_eq!(age("PgQ in SQL, release x, 0"), None);
        assert_eq!(age("somebody's queues"), None);
    }
}
>>>>>>> h-bench
