//! Words of other drivers and frameworks in connection strings.

use std::sync::LazyLock;
use std::time::Duration;

use log::warn;

use crate::text::log_throttle::LogThrottle;

/// Other spellings of libpq's keywords, all of `sqlx`.
const ALIASES: [(&str, &str); 5] = [
    ("ssl-mode", "sslmode"),
    ("ssl-root-cert", "sslrootcert"),
    ("ssl-ca", "sslrootcert"),
    ("ssl-cert", "sslcert"),
    ("ssl-key", "sslkey"),
];

/// Settings of other drivers that concern those drivers alone: caches, pools, time limits of their calls. A word that
/// restricts what a connection may do, or chooses a server or its certificate, is not listed and stays an error.
const SKIPPED: [(&str, &[&str]); 6] = [
    ("sqlx", &["statement-cache-capacity"]),
    (
        "SQLAlchemy",
        &[
            "prepared_statement_cache_size",
            "prepared_statement_name_func",
            "async_fallback",
            "prepare_threshold",
        ],
    ),
    (
        "pgx",
        &[
            "pool_max_conns",
            "pool_min_conns",
            "pool_min_idle_conns",
            "pool_max_conn_lifetime",
            "pool_max_conn_lifetime_jitter",
            "pool_max_conn_idle_time",
            "pool_health_check_period",
            "statement_cache_capacity",
            "statement_cache_mode",
            "description_cache_capacity",
            "default_query_exec_mode",
            "binary_parameters",
        ],
    ),
    (
        "JDBC",
        &[
            "ApplicationName",
            "assumeMinServerVersion",
            "autosave",
            "binaryTransfer",
            "cancelSignalTimeout",
            "connectTimeout",
            "defaultRowFetchSize",
            "loginTimeout",
            "logUnclosedConnections",
            "prepareThreshold",
            "preparedStatementCacheQueries",
            "preparedStatementCacheSizeMiB",
            "reWriteBatchedInserts",
            "socketTimeout",
            "stringtype",
            "tcpKeepAlive",
        ],
    ),
    ("Prisma", &["connection_limit", "pgbouncer", "pool_timeout", "socket_timeout", "statement_cache_size"]),
    ("Rails", &["checkout_timeout", "pool", "prepared_statements", "reaping_frequency", "statement_limit"]),
];

/// The words that were logged. Connection strings are read again for each connection.
static LOGGED: LazyLock<LogThrottle> = LazyLock::new(|| LogThrottle::every(Duration::MAX));

/// Returns libpq's keyword for another spelling of it.
pub(super) fn alias(name: &str) -> Option<&'static str> {
    ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, keyword)| *keyword)
}

/// Returns whether a word is to be skipped, with a warning, once in a process.
pub(super) fn is_skipped(name: &str) -> bool {
    let Some((driver, word)) = SKIPPED.iter().find_map(|(driver, words)| {
        let word = words.iter().find(|word| **word == name)?;
        Some((driver, word))
    }) else {
        return false;
    };
    if LOGGED.admit_key(word).is_some() {
        warn!(
            "`{word}` of a connection string is skipped: it is a setting of {driver} and has no effect here"
        );
    }
    true
}
