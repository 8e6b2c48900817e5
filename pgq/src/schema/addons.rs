//! Additions to PgQ 3.5, for either schema: failed events, delayed events, schedules, events once, a ticker without a program, and
//! cooperative consumers.

use super::sql_script::{SqlScript, files};

/// Failed events, the functions that tag many events of a batch at once, and a ticker without a program.
pub(super) static FAILED: SqlScript = SqlScript {
    name: "Failed events of PgQ",
    release: 2,
    object: "table pgq.failed_queue",
    function: "pgq._failed_release()",
    files: files![
        "trust",
        "functions/_plain_rights",
        "functions/_ddl",
        "functions/_queue_rights",
        "failed/failed_queue",
        "failed/_failed_event_owner",
        "failed/_open_batch",
        "failed/event_failed",
        "failed/_tagged_events_sql",
        "failed/_tagged_events_check",
        "failed/event_failed_many",
        "failed/event_retry_many",
        "failed/failed_event_list",
        "failed/failed_event_page",
        "failed/failed_event_count",
        "failed/failed_event_retry",
        "failed/failed_event_retry_many",
        "failed/failed_event_delete",
        "failed/failed_event_delete_many",
        "ticking/_ticks_elsewhere",
        "ticking/_due_ticks",
        "ticking/_tick_due_queues",
        "ticking/_return_due_retries",
        "ticking/_maintenance_role",
        "ticking/_maintenance_operations",
        "ticking/_maintain",
        "ticking/run_ticker",
        "failed/rights",
        "failed/grants",
        "ticking/grants",
        "trust",
    ],
};

/// Delayed events, schedules, and events that are inserted once.
pub(super) static LATER: SqlScript = SqlScript {
    name: "Delayed events of PgQ",
    release: 2,
    object: "table pgq.delayed_queue",
    function: "pgq._later_release()",
    files: files![
        "trust",
        "functions/_plain_rights",
        "functions/_ddl",
        "functions/_queue_rights",
        "later/delayed_queue",
        "later/event_key",
        "later/scheduled_event",
        "later/later_cleanup",
        "later/_later_queue",
        "later/insert_event_at",
        "later/_delayed_state",
        "later/_mark_delayed",
        "later/_deliver_delayed",
        "later/maint_delayed_events",
        "later/delayed_event_list",
        "later/delayed_event_count",
        "later/delayed_event_cancel",
        "later/schedule_event",
        "later/unschedule_event",
        "later/scheduled_event_list",
        "later/_scheduled_state",
        "later/_insert_scheduled",
        "later/_event_key_turn",
        "later/_event_key_find",
        "later/_event_key_claim",
        "later/insert_event_once",
        "later/maint_event_keys",
        "later/rights",
        "later/grants",
        "trust",
    ],
};

/// Cooperative consumers.
pub(super) static COOP: SqlScript = SqlScript {
    name: "Cooperative consumers of PgQ",
    release: 2,
    object: "schema pgq_coop",
    function: "pgq_coop._release()",
    files: files![
        "trust",
        "coop/schema",
        "trust",
        "functions/_plain_rights",
        "coop/version",
        "coop/_add_subconsumer",
        "coop/register_subconsumer",
        "coop/unregister_subconsumer",
        "coop/_lock_subscription",
        "coop/_take_from_dead",
        "coop/_take_from_main",
        "coop/next_batch_custom",
        "coop/next_batch",
        "coop/finish_batch",
        "coop/touch_subconsumer",
        "coop/rights",
        "coop/grants",
        "trust",
    ],
};

/// Creates the roles before the extension does, since two databases of a cluster may create them at the same time.
pub(super) const ROLES: &str = include_str!("../../sql/roles.sql");

/// Resets the privileges on the extension's objects, which default privileges may have changed.
pub(super) const EXTENSION_RIGHTS: [&str; 5] = [
    include_str!("../../sql/functions/_plain_rights.sql"),
    include_str!("../../sql/functions/_ddl.sql"),
    include_str!("../../sql/functions/_queue_rights.sql"),
    include_str!("../../sql/rights.sql"),
    include_str!("../../sql/grants.sql"),
];

/// Creates the tables and sequences of queues that a dump of a database with the extension has omitted.
pub(super) const EXTENSION_TABLES: [&str; 6] = [
    include_str!("../../sql/functions/_plain_rights.sql"),
    include_str!("../../sql/functions/_ddl.sql"),
    include_str!("../../sql/functions/_queue_rights.sql"),
    include_str!("../../sql/functions/_create_tables.sql"),
    include_str!("../../sql/complete.sql"),
    "drop function pgq._create_tables(pg_catalog.text)",
];
