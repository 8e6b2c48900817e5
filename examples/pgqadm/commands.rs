//! What the commands are, and what the manual page tells about them.

use dbscript::Command;

use crate::{ALL, AT, COPY, FORCE, OLDER_THAN, PRINT, SCHEMA, YES, check, status};

/// The steps to a queue that works.
pub(crate) const QUICK_START: [(&str, &str); 7] = [
    ("Create the database.", "createdb somedb"),
    (
        "Write the ticker's configuration file, ticker.ini: `pgqadm --ini` prints one with every key. It needs `db`, and \
         `pidfile` to run as a daemon.",
        "pgqadm --ini --set db=dbname=somedb --set pidfile=ticker.pid > ticker.ini",
    ),
    ("Install PgQ into the database.", "pgqadm ticker.ini install"),
    ("Launch the ticker. Without one, no consumer sees any event.", "pgqadm -d ticker.ini ticker"),
    ("Create a queue.", "pgqadm ticker.ini create QUEUE"),
    (
        "Register the consumer, or run it, which registers it too. It gets what comes from then on.",
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
    ("3", "UNKNOWN: the database, the queue or a limit is not to be had."),
];

const VARIABLES: [(&str, &str); 9] = [
    (
        "queue_ticker_max_lag (3 seconds)",
        "A tick is made at the latest when events have waited for so long. Longer is cheaper where nobody is in a hurry; \
         shorter brings events sooner.",
    ),
    (
        "queue_ticker_max_count (500)",
        "A tick is made when so many events have come since the last one. More makes larger batches, less makes them come \
         faster.",
    ),
    (
        "queue_ticker_idle_period (1 minute)",
        "A tick is made after this time even when no events have come, as a sign of life for consumers and monitoring.",
    ),
    (
        "queue_rotation_period (2 hours)",
        "The tables of events take turns, and the oldest one is emptied, after this time at the earliest. Consumers that \
         are behind and long transactions, a dump for example, put it off. Shorter saves space, longer keeps a history \
         of old events.",
    ),
    (
        "queue_ticker_paused (false)",
        "No ticks are made, so that consumers get nothing until it is false again.",
    ),
    (
        "queue_external_ticker (false)",
        "Ticks come from elsewhere, as for a queue that is a copy of another one.",
    ),
    ("queue_disable_insert (false)", "Inserting an event is an error."),
    ("queue_per_tx_limit (none)", "So many events can be inserted by one transaction."),
    ("queue_extra_maint (none)", "Functions that maintenance calls with the queue's name."),
];

pub(crate) const COMMANDS: [Command; 12] = [
    Command::new(
        "ticker",
        "",
        "Runs the ticker and the maintenance, of the database of `db` or of many databases of a cluster.",
    ),
    Command::new(
        "status",
        "[queue]",
        "Shows queues, their consumers, and what holds up rotation; with --json, for programs; with --watch, as a \
         display like `top`.",
    )
    .takes(&[status::JSON, status::WATCH]),
    Command::new(
        "check",
        "[queue]",
        "Prints one line for monitoring systems; the exit status is 0 (OK), 1 (WARNING), 2 (CRITICAL) or \
         3 (UNKNOWN), also when the config file is missing or wrong. An option that is not known is UNKNOWN only \
         behind `check`; before it, it is wrong usage, status 2.",
    )
    .takes(&check::OPTIONS)
    .explains(&STATUSES),
    Command::new(
        "install",
        "[pgq] [pgq_ext]",
        "Installs the schemas, by default both; pgq as the extension where the server offers it and the role may \
         create it, else as SQL, or as --schema says. With --print, prints the SQL and changes nothing.",
    )
    .takes(&[SCHEMA, PRINT]),
    Command::new(
        "uninstall",
        "[pgq] [pgq_ext]",
        "Removes the schemas, by default both, with all queues and events. Asks first, or takes --force.",
    )
    .takes(&[FORCE, YES]),
    Command::new(
        "repair",
        "",
        "Mends a database that was restored, moved to another server or failed over, or whose clock was put back: \
         sequences behind their tables, transaction ids of another server, ticks from the future or missing, \
         consumers that share an id. Says what does not fit and what it does about it, and asks first, or takes \
         --force.",
    )
    .takes(&[FORCE]),
    Command::new("create", "<queue>...", "Creates queues."),
    Command::new(
        "drop",
        "<queue>",
        "Drops a queue with its events, and unregisters its consumers. Asks first, or takes --force.",
    )
    .takes(&[FORCE]),
    Command::new(
        "register",
        "<queue> <consumer>",
        "Registers a consumer on a queue, so that it gets what comes from now on; or what came after the tick of \
         --at; or what the consumer of --copy is still to get. With one of these, a consumer that is registered \
         already is moved, which asks first, or takes --force.",
    )
    .takes(&[AT, COPY, FORCE]),
    Command::new(
        "unregister",
        "<queue> <consumer>",
        "Removes a consumer from a queue. Asks first if it has retry events or failed events, which go too, or takes \
         --force. What a subconsumer has open comes back to the others.",
    )
    .takes(&[FORCE]),
    Command::new(
        "config",
        "[<queue> [<variable>=<value>...]]",
        "Shows the settings of queues, intervals in seconds, or changes some, all or none: ticker_max_lag, \
         ticker_max_count, ticker_idle_period, rotation_period, ticker_paused, external_ticker, disable_insert, \
         per_tx_limit, extra_maint. Names may begin with queue_; intervals are as PostgreSQL reads them.",
    )
    .explains(&VARIABLES),
    Command::new(
        "failed",
        "list|count|retry|delete|purge <queue> <consumer> [<event>...]",
        "Handles the events that a consumer gave up. `list` prints them, one on a line; `retry` returns the named \
         ones, or --all, to the consumer; `delete` removes the named ones, or --all; `purge` removes all, or \
         those of --older-than. What removes asks first, or takes --force.",
    )
    .takes(&[ALL, OLDER_THAN, FORCE]),
];
