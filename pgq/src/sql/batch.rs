//! The statements of a batch: open it, read it, tag its events, finish it, copy it.

/// Lifts the limits on the duration of this transaction, since the transaction of a batch lasts as long as the batch.
macro_rules! lift_limits {
    () => {
        "(select pg_catalog.count(pg_catalog.set_config(name, '0', true)) from (values \
             ('idle_in_transaction_session_timeout'::pg_catalog.text), ('transaction_timeout')) limits (name) \
         where pg_catalog.current_setting(name, true) is not null)"
    };
}

/// The tables of a queue, $2, that row security hides events of from this role, or null. A table that the role must
/// read whole has to be an error, not an empty batch.
macro_rules! hidden_events {
    () => {
        "(select pg_catalog.string_agg(name, ', '::pg_catalog.text) from ( \
             select pg_catalog.format('%s_%s', queue_data_pfx, part) as name \
             from pgq.queue cross join pg_catalog.generate_series(0, queue_ntables - 1) part \
             where queue_name = $2 offset 0) parts \
         where pg_catalog.row_security_active(pg_catalog.to_regclass(pgq.quote_fqname(name))::pg_catalog.oid))"
    };
}
pub(crate) use hidden_events;

/// The tables of positions that row security hides rows of from this role, or null.
macro_rules! hidden_positions {
    () => {
        "(select pg_catalog.string_agg(name, ', '::pg_catalog.text) from pg_catalog.unnest(array[ \
             'pgq.queue'::pg_catalog.text, 'pgq.tick', 'pgq.consumer', 'pgq.subscription']) name \
         where pg_catalog.row_security_active(name))"
    };
}
pub(crate) use {hidden_positions, lift_limits};

/// The subscription that has a batch open, which is not found unless all of it fits. $1 batch, $2 queue, $3 consumer,
/// with the subconsumer, $4 the tick at which the batch starts, $5 the one at which it ends.
macro_rules! holder {
    () => {
        holder!("co_name = $3")
    };
    ($name:literal) => {
        concat!(
            "(select * from pgq.subscription where sub_batch = $1 offset 0) own \
             join pgq.consumer on co_id = sub_consumer \
             join pgq.queue on queue_id = sub_queue \
             where queue_name = $2 and ",
            $name,
            " and sub_last_tick = $4 and sub_next_tick = $5"
        )
    };
}
pub(crate) use holder;

/// $1 a limit on each statement, as the server shows it. For the rest of the transaction.
pub(crate) const LIMIT_STATEMENTS: &str = "select pg_catalog.set_config('statement_timeout', $1, true)";

/// Lets a transaction that only holds a lock stay open without limit, and makes the server end it soon after the
/// client's machine stops responding.
pub(crate) const KEEP_LOCK: &str = "select pg_catalog.set_config(name, value, true) from (values \
         ('idle_in_transaction_session_timeout', '0'), ('transaction_timeout', '0'), \
         ('tcp_keepalives_idle', '5'), ('tcp_keepalives_interval', '2'), ('tcp_keepalives_count', '3'), \
         ('tcp_user_timeout', '10s')) settings (name, value) \
     where pg_catalog.current_setting(name, true) is not null";

/// Takes a lock until the end of the transaction, and returns its key, which no other lock has.
#[cfg(feature = "tokio")]
pub(crate) const LOCK_ANY: &str = "select key, pg_catalog.pg_advisory_xact_lock_shared(key)::pg_catalog.text from ( \
         select pg_catalog.hashtextextended(pg_catalog.format('pgq transaction %s %s %s', pg_catalog.pg_backend_pid(), \
             pg_catalog.clock_timestamp(), pg_catalog.random()), 0::pg_catalog.int8) as key offset 0) made";

/// $1 the key of a lock. Returns 1 if a session has the lock in this database, else null; and the schema that precedes
/// `pg_catalog` in the search path, or null. Names operators in full, because that schema may have operators.
#[cfg(feature = "tokio")]
pub(crate) const CHECK_CALLER: &str = "select case when exists (select from pg_catalog.pg_locks \
         where granted and locktype operator(pg_catalog.=) 'advisory'::pg_catalog.text \
             and database operator(pg_catalog.=) (select oid from pg_catalog.pg_database \
                 where datname operator(pg_catalog.=) pg_catalog.current_database()) \
             and classid operator(pg_catalog.=) (($1 operator(pg_catalog.>>) 32) operator(pg_catalog.&) 4294967295) \
                 ::pg_catalog.oid \
             and objid operator(pg_catalog.=) ($1 operator(pg_catalog.&) 4294967295)::pg_catalog.oid \
             and objsubid operator(pg_catalog.=) 1::pg_catalog.int2) then 1 end, \
     (select case when first operator(pg_catalog.<>) 'pg_catalog'::pg_catalog.text then first end from ( \
         select schema::pg_catalog.text as first \
         from pg_catalog.unnest(pg_catalog.current_schemas(true)) with ordinality path (schema, place) \
         where not pg_catalog.starts_with(schema::pg_catalog.text, 'pg_temp_'::pg_catalog.text) \
         order by place limit 1) head)";

/// $1 queue, $2 tick. When it was made; null when the queue does not have it.
pub(crate) const TICK_TIME: &str = "select ( \
         select tick_time from pgq.tick join pgq.queue on queue_id operator(pg_catalog.=) tick_queue \
         where queue_name operator(pg_catalog.=) $1 and tick_id operator(pg_catalog.=) $2)";

/// $1 batch, $2 queue, $3 consumer, with the subconsumer, $4 the tick at which the batch starts, $5 the one at which it
/// ends. Whether the consumer has the batch.
pub(crate) const HAS_BATCH: &str = concat!("select exists (select from ", holder!(), ")");

/// $1 batch, $2 queue, $3 consumer. Whether the consumer or a subconsumer of it has the batch.
pub(crate) const IS_OPEN: &str = "select exists ( \
         select from (select * from pgq.subscription where sub_batch = $1 offset 0) own \
         join pgq.consumer on co_id = sub_consumer \
         join pgq.queue on queue_id = sub_queue \
         where queue_name = $2 \
             and (co_name = $3 or pg_catalog.starts_with(co_name, pg_catalog.concat($3, '.'))))";

/// $1 tick, $2 queue, $3 consumer. Whether the consumer or a subconsumer of it has a batch that begins at the tick.
pub(crate) const IS_BEGUN: &str = "select exists ( \
         select from pgq.subscription \
         join pgq.consumer on co_id operator(pg_catalog.=) sub_consumer \
         join pgq.queue on queue_id operator(pg_catalog.=) sub_queue \
         where sub_batch is not null and sub_last_tick operator(pg_catalog.=) $1 and queue_name operator(pg_catalog.=) $2 \
             and (co_name operator(pg_catalog.=) $3 or pg_catalog.starts_with(co_name, pg_catalog.concat($3, '.'))))";

/// $1 tick, $2 queue, $3 consumer. Whether the next batch that is opened begins at the tick or later.
pub(crate) const IS_PAST: &str = "select exists ( \
         select from pgq.subscription \
         join pgq.consumer on co_id operator(pg_catalog.=) sub_consumer \
         join pgq.queue on queue_id operator(pg_catalog.=) sub_queue \
         where queue_name operator(pg_catalog.=) $2 and co_name operator(pg_catalog.=) $3 \
             and sub_last_tick operator(pg_catalog.>=) $1)";

/// The columns of an event that its producer sets, and its time.
pub(crate) const EVENT_COLUMNS: &str =
    "ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4, ev_time";

/// Whether copied events keep their ids in the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ids {
    /// The target assigns new ids.
    New,
    /// The events keep theirs.
    Kept,
}

impl Ids {
    /// Returns the start of the list of columns.
    pub(crate) fn column(self) -> &'static str {
        match self {
            Ids::New => "",
            Ids::Kept => "ev_id, ",
        }
    }
}

/// Makes the statement that streams events into a table, whose name is already quoted.
pub(crate) fn copy_in(table: &str, ids: Ids) -> String {
    format!("copy {table} ({}{EVENT_COLUMNS}) from stdin (format binary)", ids.column())
}
