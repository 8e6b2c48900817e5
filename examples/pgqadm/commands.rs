//! The commands, and their explanations for `--help` and the manual page.

use dbscript::{Command, Consent, Switches};

use crate::{ALL, AT, COPY, FORCE, OLDER_THAN, PRINT, SCHEMA, YES, check, schedules, status};

/// The steps to a working queue.
pub(crate) const QUICK_START: [(&str, &str); 7] = [
    ("Create the database.", "createdb somedb"),
    (
        "Write the ticker's configuration file, ticker.ini: `pgqadm --ini` prints one with every key. The ticker needs `db`, and \
         `pidfile` to run as a daemon.",
        "pgqadm --ini --set db=dbname=somedb --set pidfile=ticker.pid > ticker.ini",
    ),
    ("Install PgQ into the database.", "pgqadm ticker.ini install"),
    ("Start the ticker. Without a ticker, consumers receive no events.", "pgqadm -d ticker.ini ticker"),
    ("Create a queue.", "pgqadm ticker.ini create QUEUE"),
    (
        "Register the consumer, or run it, which registers it too. The consumer receives the events inserted from then on.",
        "pgqadm ticker.ini register QUEUE CONSUMER",
    ),
    (
        "Insert events, from any language.",
        "psql somedb -c \"select pgq.insert_event('QUEUE', 'type', 'data')\"",
    ),
];

const STATUSES: [(&str, &str); 4] = [
    ("0", "OK: everything is within its limits."),
    ("1", "WARNING: something has reached its first limit."),
    ("2", "CRITICAL: something has reached its second limit."),
    ("3", "UNKNOWN: the database or the queue cannot be read, or a limit is invalid."),
];

const VARIABLES: [(&str, &str); 9] = [
    (
        "queue_ticker_max_lag (3 seconds)",
        "The ticker makes a tick when events have waited for this time. A longer time costs less; a shorter one reduces \
         the latency.",
    ),
    (
        "queue_ticker_max_count (500)",
        "The ticker makes a tick when this many events were inserted since the last tick. A higher number makes larger \
         batches; a lower one reduces the latency.",
    ),
    (
        "queue_ticker_idle_period (1 minute)",
        "The ticker makes a tick after this time even without new events, so that consumers and monitoring see that it \
         is running.",
    ),
    (
        "queue_rotation_period (2 hours)",
        "The event tables are rotated, and the oldest one is truncated, after this time at the earliest. Consumers that \
         lag and long transactions, such as a dump, delay the rotation. A shorter period saves space; a longer one keeps \
         a history of old events.",
    ),
    (
        "queue_ticker_paused (false)",
        "The ticker makes no ticks, so consumers receive no events until the setting is false again.",
    ),
    (
        "queue_external_ticker (false)",
        "Another program makes the ticks, as for a queue that is a copy of another one.",
    ),
    ("queue_disable_insert (false)", "Inserting an event fails."),
    ("queue_per_tx_limit (none)", "The largest number of events that a transaction can insert."),
    ("queue_extra_maint (none)", "Functions that maintenance calls with the queue's name."),
];

const PATTERNS: [(&str, &str); 4] = [
    (
        "30 6 * * MON-FRI",
        "On working days at 6:30. The fields: minute, hour, day of the month, month, day of the week.",
    ),
    ("*/10 8-18 * * *", "Every ten minutes from 8:00 to 18:50."),
    (
        "0 0 1,15 * *",
        "On the 1st and the 15th at midnight; `L` is the last day of the month, `5#2` the second Friday.",
    ),
    ("@hourly", "At minute 0 of each hour. Also @daily, @midnight, @weekly, @monthly, @yearly, @annually."),
];

pub(crate) const COMMANDS: [Command; 16] = [
    Command::new(
        "ticker",
        "",
        "Runs the ticker and the maintenance for the database `db`, or for the databases of a cluster.",
    ),
    Command::new(
        "status",
        "[queue]",
        "Shows queues, consumers, and holders of rotations. With --json, prints JSON; with --watch, refreshes a \
         display like `top`.",
    )
    .takes(&[status::JSON, status::WATCH]),
    Command::new(
        "check",
        "[queue]",
        "Prints one line for monitoring systems, and exits with its status. A missing or invalid config file is UNKNOWN, \
         too. An unknown option after `check` is UNKNOWN; an unknown option before `check` is a usage error, status 2.",
    )
    .takes(&check::OPTIONS)
    .explains(&STATUSES),
    Command::new(
        "install",
        "[pgq] [pgq_ext]",
        "Installs the schemas; defaults to both. --schema selects the kind of pgq; defaults to the extension where the \
         server has it and the role may create it, else to SQL. With --print, prints the SQL and changes nothing.",
    )
    .takes(&[SCHEMA, PRINT]),
    Command::new(
        "uninstall",
        "[pgq] [pgq_ext]",
        "Removes the schemas with all queues and events; defaults to both. Asks for confirmation, or requires --force.",
    )
    .takes(&[FORCE, YES]),
    Command::new(
        "repair",
        "",
        "Repairs a database that was restored, moved to another server or failed over, or whose clock was set back. \
         Repairs sequences behind their tables, transaction ids of another server, ticks from the future or missing, \
         consumers that share an id. Prints the inconsistencies and their remedies, and asks for confirmation, or \
         requires --force.",
    )
    .takes(&[FORCE]),
    Command::new("create", "<queue>...", "Creates queues."),
    Command::new(
        "drop",
        "<queue>",
        "Drops a queue with its events, and unregisters its consumers. Asks for confirmation, or requires --force.",
    )
    .takes(&[FORCE]),
    Command::new(
        "register",
        "<queue> <consumer>",
        "Registers a consumer on a queue. The consumer receives the events inserted from now on, with --at the events \
         after that tick or since that time, as far back as the queue has ticks, and with --copy the pending events of that consumer. --at and --copy also move a registered \
         consumer, which asks for confirmation, or requires --force.",
    )
    .takes(&[AT, COPY, FORCE]),
    Command::new(
        "unregister",
        "<queue> <consumer>",
        "Removes a consumer from a queue. Asks for confirmation, or requires --force, if the consumer has retry events \
         or failed events, which are deleted too. An open batch of a subconsumer returns to the other subconsumers.",
    )
    .takes(&[FORCE]),
    Command::new(
        "config",
        "[<queue> [<variable>=<value>...]]",
        "Shows the settings of queues, intervals in seconds, or changes settings of a queue. All of the given settings \
         are changed, or none: ticker_max_lag, ticker_max_count, ticker_idle_period, rotation_period, ticker_paused, \
         external_ticker, disable_insert, per_tx_limit, extra_maint. Names may begin with queue_; intervals have the \
         syntax of PostgreSQL.",
    )
    .explains(&VARIABLES),
    Command::new(
        "delayed",
        "list|count|cancel <queue> [<event>...]",
        "Handles the delayed events of a queue, which are inserted at a later time. `list` prints the events, one on a line, \
         in the order of their times; `count` prints their number; `cancel` cancels the given events, all or none.",
    ),
    Command::new(
        "schedule",
        "<queue> <name> <cron> <type> <data>",
        "Schedules a recurring event: a running ticker inserts it into the queue at each time of the cron pattern. Replaces the \
         schedule of the same name. Several times that are over, as after an outage of the ticker, are one event.",
    )
    .takes(&[
        schedules::ZONE,
        schedules::EXTRAS[0],
        schedules::EXTRAS[1],
        schedules::EXTRAS[2],
        schedules::EXTRAS[3],
    ])
    .explains(&PATTERNS),
    Command::new(
        "schedules",
        "[queue]",
        "Lists the schedules of a queue, or of all queues, one on a line, with the next time in UTC.",
    ),
    Command::new("unschedule", "<queue> <name>", "Removes a schedule. Events that it has inserted stay."),
    Command::new(
        "failed",
        "list|count|retry|delete|purge <queue> <consumer> [<event>...]",
        "Handles the failed events of a consumer. `list` prints the events, one on a line; `count` prints their number; \
         `retry` returns the given events, or --all, to the consumer; `delete` deletes the given events, or --all; \
         `purge` deletes all events, or those of --older-than. `delete` and `purge` ask for confirmation, or require \
         --force.",
    )
    .takes(&[ALL, OLDER_THAN, FORCE]),
];

/// Returns the consent to an irreversible command that the switches give.
pub(crate) fn consent(switches: &Switches) -> Consent {
    if switches.has(FORCE) { Consent::Given } else { Consent::Required }
}
