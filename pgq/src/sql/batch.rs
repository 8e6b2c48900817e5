//! The statements of a batch: open it, read it, tag its events, finish it, copy it.

use postgres_protocol::escape::escape_literal;

/// Makes the statement that opens a batch, out of the consumer's lock name and the function that opens it.
///
/// $1 queue, $2 consumer, $3 least lag, $4 least number of events, $5 least interval, times in seconds; $6
/// whether to take all ticks up to the last one as one batch, or as many as it takes to reach $4 events; $7
/// whether the lock is held elsewhere; $8 whether the commit need not wait for the disk, which it does
/// otherwise, also where that is not the default. No row: another process has the lock.
///
/// The last but one column is how many event ids were taken between the batch's ticks, the last one which tables row
/// security hides from this role.
///
/// The function gets its arguments from `guard`, so it cannot run before the lock is taken. With $6 the server
/// searches for the first tick that is $4 events or the given interval away; the interval is the distance to the
/// last tick, so there always is one. No interval leads to a tick at `infinity`, as ticks from elsewhere may be; then ticks
/// are taken one by one, and one that has no age is not waited for. Rows that are looked up one by one are planned sooner than a join of them.
macro_rules! next_batch {
    ($lock:literal, $consumer:literal, $turns:literal, $function:literal, $more:literal) => {
        concat!(
            "select batch_id, prev_tick_id, cur_tick_id, prev_tick_time, cur_tick_time, \
                 cur_tick_event_seq - prev_tick_event_seq, hidden from ( \
                 select $1::pg_catalog.text as queue, ",
            $consumer,
            " as consumer, ",
            hidden_positions!(),
            " as hidden, exists ( \
                     select from pgq.subscription join pgq.tick on tick_queue = sub_queue and tick_id >= sub_last_tick \
                     where sub_queue = (select queue_id from pgq.queue where queue_name = $1) \
                         and sub_consumer = (select co_id from pgq.consumer where co_name = $2) \
                         and not pg_catalog.isfinite(tick_time)) as endless, exists ( \
                     select from pgq.subscription cross join lateral ( \
                         select tick_time from pgq.tick where tick_queue = sub_queue and tick_id > sub_last_tick \
                         order by tick_queue, tick_id limit 1) following \
                     where sub_queue = (select queue_id from pgq.queue where queue_name = $1) \
                         and sub_consumer = (select co_id from pgq.consumer where co_name = $2) \
                         and not pg_catalog.isfinite(tick_time)) as ageless \
                 where case when $7 then true else pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended(",
            $lock,
            ", 0)) end \
                     and case when $8 then pg_catalog.set_config('synchronous_commit', 'off', true) is not null \
                         when pg_catalog.current_setting('synchronous_commit') = 'off' \
                             then pg_catalog.set_config('synchronous_commit', 'on', true) is not null \
                         else true end",
            $turns,
            " offset 0) guard \
             cross join lateral ",
            $function,
            ", case when not ageless then pg_catalog.make_interval(secs => $3) end, case when not endless then $4 end, case when endless then null \
                 when not $6 then pg_catalog.make_interval(secs => $5) else ( \
                 select (select tick_time from pgq.tick where tick_queue = sub_queue \
                         order by tick_queue desc, tick_id desc limit 1) \
                     - (select tick_time from pgq.tick where tick_queue = sub_queue and tick_id = sub_last_tick) \
                 from pgq.subscription \
                 where sub_queue = (select queue_id from pgq.queue where queue_name = $1) \
                     and sub_consumer = (select co_id from pgq.consumer where co_name = $2)) end",
            $more,
            ")"
        )
    };
}

pub(crate) const NEXT_BATCH: &str = next_batch!(
    "pg_catalog.format('pgq %L %L', $1, $2)",
    "$2::pg_catalog.text",
    "",
    "pgq.next_batch_custom(guard.queue, guard.consumer",
    ""
);

/// $9 subconsumer, $10 the time after which another one is dead, in seconds. Who may take a batch over waits for those
/// that are about to finish one: no row then, too. For a consumer that is not registered the function gets a null, and refuses.
pub(crate) const NEXT_COOP_BATCH: &str = next_batch!(
    "pg_catalog.format('pgq %L %L', $1, $2 || '.' || $9)",
    "(select co_name from pgq.subscription join pgq.consumer on co_id = sub_consumer \
         join pgq.queue on queue_id = sub_queue where queue_name = $1 and co_name = $2)",
    " and pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended( \
         pg_catalog.format('pgq finish %L %L', $1, $2), 0::pg_catalog.int8))",
    "pgq_coop.next_batch_custom(guard.queue, guard.consumer, $9",
    ", pg_catalog.make_interval(secs => $10)"
);

/// Lifts the limits on how long a transaction may take, for this one: that of a batch takes as long as the batch.
macro_rules! lift_limits {
    () => {
        "(select pg_catalog.count(pg_catalog.set_config(name, '0', true)) from (values \
             ('idle_in_transaction_session_timeout'::pg_catalog.text), ('transaction_timeout')) limits (name) \
         where pg_catalog.current_setting(name, true) is not null)"
    };
}

/// The tables of a queue, $2, that row security hides events of from this role, or null. A table that the role must read
/// whole has to be an error, not an empty batch.
macro_rules! hidden_events {
    () => {
        "(select pg_catalog.string_agg(name, ', '::pg_catalog.text) from ( \
             select pg_catalog.format('%s_%s', queue_data_pfx, part) as name \
             from pgq.queue cross join pg_catalog.generate_series(0, queue_ntables - 1) part \
             where queue_name = $2 offset 0) parts \
         where pg_catalog.row_security_active(pg_catalog.to_regclass(pgq.quote_fqname(name))::pg_catalog.oid))"
    };
}

/// The tables of positions that row security hides rows of from this role, or null.
macro_rules! hidden_positions {
    () => {
        "(select pg_catalog.string_agg(name, ', '::pg_catalog.text) from pg_catalog.unnest(array[ \
             'pgq.queue'::pg_catalog.text, 'pgq.tick', 'pgq.consumer', 'pgq.subscription']) name \
         where pg_catalog.row_security_active(name))"
    };
}
pub(super) use {hidden_positions, lift_limits};

/// The subscription that has a batch open, which is not found unless all of it fits. $1 batch, $2 queue, $3 consumer, with
/// the subconsumer, $4 the tick at which the batch starts, $5 the one at which it ends.
macro_rules! holder {
    () => {
        holder!("co_name = $3")
    };
    ($name:literal) => {
        concat!(
            "pgq.subscription \
             join pgq.consumer on co_id = sub_consumer \
             join pgq.queue on queue_id = sub_queue \
             where sub_batch = $1 and queue_name = $2 and ",
            $name,
            " and sub_last_tick = $4 and sub_next_tick = $5"
        )
    };
}

/// $1 to $5 as in [`HAS_BATCH`], the name being that of the lock, too, $6 whether the lock is held elsewhere, $7 whether
/// there are many events to sort. Takes the lock before it looks for the batch, so that a batch which another process has
/// just finished is not found. Then the query for the batch's events, empty if it is not this consumer's and null if no table can have them, whether many can be tagged
/// at once, and, if the memory to sort them in was raised for the transaction, how much it was before: a batch of many
/// events is not sorted on disk as long as that is little memory. Then the limit on a statement, whether there is one on a
/// transaction, which is lifted, and which tables row security hides.
///
/// For the rest of the transaction, the server notices within about ten seconds that the machine of an idle client is gone,
/// and a database without an encoding, which the last column says it is, sends its bytes as they are, since it could
/// convert none of them.
pub(crate) const OPEN_BATCH: &str = concat!(
    "select case when $6 then true else pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended( \
         pg_catalog.format('pgq %L %L', $2, $3), 0::pg_catalog.int8)) end, \
     case when exists (select from ",
    holder!(),
    ") then pgq.batch_event_sql($1) else '' end, \
     pg_catalog.to_regprocedure('pgq.event_retry_many(bigint,bigint[],integer[],bytea[])') is not null, \
     (select case when pg_catalog.set_config('work_mem', '16MB', true) is not null then work_mem end from ( \
         select pg_catalog.current_setting('work_mem') as work_mem \
         where $7 and pg_catalog.pg_size_bytes(pg_catalog.current_setting('work_mem')) < pg_catalog.pg_size_bytes('16MB') \
         offset 0) little), \
     nullif(pg_catalog.current_setting('statement_timeout'), '0'), \
     coalesce(pg_catalog.current_setting('transaction_timeout', true), '0') <> '0', ",
    hidden_events!(),
    ", ",
    lift_limits!(),
    ", (select pg_catalog.count(pg_catalog.set_config(name, value, true)) from (values \
         ('tcp_keepalives_idle'::pg_catalog.text, '5'::pg_catalog.text), ('tcp_keepalives_interval', '2'), \
         ('tcp_keepalives_count', '3'), ('client_encoding', 'SQL_ASCII')) settings (name, value) \
         where name <> 'client_encoding' or pg_catalog.current_setting('server_encoding') = 'SQL_ASCII'), \
     pg_catalog.current_setting('server_encoding') = 'SQL_ASCII'"
);

/// $1 a limit on each statement, as the server shows it. For the rest of the transaction.
pub(crate) const LIMIT_STATEMENTS: &str = "select pg_catalog.set_config('statement_timeout', $1, true)";

/// Lifts all limits for the rest of the transaction.
pub(crate) const LIFT: &str =
    concat!("select pg_catalog.set_config('statement_timeout', '0', true), ", lift_limits!());

/// Lets a database without an encoding send its bytes as they are.
pub(crate) const SEND_BYTES: &str = "set local client_encoding = 'SQL_ASCII'";

/// Makes the query for the id of the event that has $1 others before it.
pub(crate) fn nth_event(batch_events: &str) -> String {
    format!("select ev_id from ({batch_events}) batch order by ev_id offset $1 limit 1")
}

/// $1 memory, as the server shows it. For the rest of the transaction.
pub(crate) const SET_WORK_MEM: &str = "select pg_catalog.set_config('work_mem', $1, true)";

pub(crate) const BEGIN_LOCK: &str = "begin isolation level read committed";

/// $1 queue, $2 the consumer's name in its lock.
pub(crate) const HOLD_LOCK: &str = "select pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended(pg_catalog.format('pgq %L %L', $1::pg_catalog.text, $2::pg_catalog.text), 0))";

/// Lets a transaction that holds nothing but a lock stay open for ever, and end soon when the client is gone without
/// a word.
pub(crate) const KEEP_LOCK: &str = "select pg_catalog.set_config(name, value, true) from (values \
         ('idle_in_transaction_session_timeout', '0'), ('transaction_timeout', '0'), \
         ('tcp_keepalives_idle', '5'), ('tcp_keepalives_interval', '2'), ('tcp_keepalives_count', '3'), \
         ('tcp_user_timeout', '10s')) settings (name, value) \
     where pg_catalog.current_setting(name, true) is not null";

/// $1 to $5 as in [`HAS_BATCH`], $6 event ids, $7 seconds. A row for each event, or none: the batch is not this consumer's.
/// Null where the batch has several events of the id, of which the function would take any one.
pub(crate) const RETRY_EACH: &str = concat!(
    "with held as materialized (select sub_batch as batch from ",
    holder!(),
    "), several as materialized ( \
         select ev_id from (select distinct ev_id, ev_time, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4 \
             from held cross join lateral pgq.get_batch_events(batch) where ev_id = any ($6::pg_catalog.int8[])) different \
         group by ev_id having pg_catalog.count(*) > 1) \
     select case when event not in (select ev_id from several) then pgq.event_retry(batch, event, seconds) end \
     from held cross join rows from (pg_catalog.unnest($6::pg_catalog.int8[]), pg_catalog.unnest($7::pg_catalog.int4[])) \
         as tagged (event, seconds)"
);

/// $1 to $5 as in [`HAS_BATCH`], $6 event ids, $7 seconds, $8 marks of the events, as [`Event::mark`](crate::Event) makes
/// them. No row: the batch is not this consumer's.
pub(crate) const RETRY_MANY: &str =
    concat!("select pgq.event_retry_many(sub_batch, $6, $7, $8) from ", holder!());

/// $1 to $5 as in [`HAS_BATCH`], $6 event ids, $7 reasons, $8 marks as in [`RETRY_MANY`]. No row: the batch is not this
/// consumer's.
pub(crate) const FAIL_MANY: &str =
    concat!("select pgq.event_failed_many(sub_batch, $6, $7, $8) from ", holder!());

/// $1 queue, $2 tick. When it was made; null when the queue does not have it.
pub(crate) const TICK_TIME: &str = "select ( \
         select tick_time from pgq.tick join pgq.queue on queue_id operator(pg_catalog.=) tick_queue \
         where queue_name operator(pg_catalog.=) $1 and tick_id operator(pg_catalog.=) $2)";

/// $1 queue, $2 time. Whether the queue has a tick from before.
pub(crate) const HAS_TICK_BEFORE: &str = "select exists ( \
         select from pgq.tick join pgq.queue on queue_id operator(pg_catalog.=) tick_queue \
         where queue_name operator(pg_catalog.=) $1 and tick_time operator(pg_catalog.<) $2)";

/// Makes the statement that finishes a batch, unless row security hides events by now.
macro_rules! finish {
    ($function:literal, $holder:expr) => {
        concat!(
            "select case when hidden is null then ",
            $function,
            "(sub_batch) end, hidden from (select sub_batch, ",
            hidden_events!(),
            " as hidden from ",
            $holder,
            " offset 0) held"
        )
    };
}

/// $1 to $5 as in [`HAS_BATCH`]. How many batches were finished, and which tables row security hides; then none was. No
/// row: the batch is not this consumer's.
pub(crate) const FINISH_BATCH: &str = finish!("pgq.finish_batch", holder!());

/// As [`FINISH_BATCH`], for subconsumers.
pub(crate) const FINISH_COOP_BATCH: &str = finish!("pgq_coop.finish_batch", holder!());

/// As [`FINISH_COOP_BATCH`], whichever subconsumer of consumer $3 has the batch.
pub(crate) const FINISH_TEAM_BATCH: &str = finish!(
    "pgq_coop.finish_batch",
    holder!("(co_name = $3 or pg_catalog.starts_with(co_name, pg_catalog.concat($3, '.')))")
);

/// $1 batch, $2 queue, $3 consumer, with the subconsumer, $4 the tick at which the batch starts, $5 the one at which it
/// ends. Whether the consumer has the batch.
pub(crate) const HAS_BATCH: &str = concat!("select exists (select from ", holder!(), ")");

/// $1 batch, $2 queue, $3 consumer. Whether the consumer or a subconsumer of it has the batch.
pub(crate) const IS_OPEN: &str = "select exists ( \
         select from pgq.subscription \
         join pgq.consumer on co_id = sub_consumer \
         join pgq.queue on queue_id = sub_queue \
         where sub_batch = $1 and queue_name = $2 \
             and (co_name = $3 or pg_catalog.starts_with(co_name, pg_catalog.concat($3, '.'))))";

/// $1 tick, $2 queue, $3 consumer. Whether the consumer or a subconsumer of it has a batch that begins at the tick.
pub(crate) const IS_BEGUN: &str = "select exists ( \
         select from pgq.subscription \
         join pgq.consumer on co_id operator(pg_catalog.=) sub_consumer \
         join pgq.queue on queue_id operator(pg_catalog.=) sub_queue \
         where sub_batch is not null and sub_last_tick operator(pg_catalog.=) $1 and queue_name operator(pg_catalog.=) $2 \
             and (co_name operator(pg_catalog.=) $3 or pg_catalog.starts_with(co_name, pg_catalog.concat($3, '.'))))";

/// The columns of an event that its producer sets, and its time.
pub(crate) const EVENT_COLUMNS: &str =
    "ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4, ev_time";

/// The columns of an event as it is read.
const READ_COLUMNS: &str =
    "ev_id, ev_time, ev_txid, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4";

/// Leaves only events of some tables in a batch's query; of no tables: all.
pub(crate) fn filtered(batch_events: String, tables: &[String]) -> String {
    if tables.is_empty() {
        return batch_events;
    }
    let tables: Vec<String> = tables.iter().map(|table| escape_literal(table)).collect();
    format!("select * from ({batch_events}) whole where ev_extra1 in ({})", tables.join(", "))
}

/// Makes the query that reads a batch's events, as the server put it together.
pub(crate) fn events(batch_events: &str) -> String {
    format!("select {READ_COLUMNS} from ({batch_events}) batch order by ev_id")
}

/// As [`events`], but only the first $3 events behind that with id $1 and transaction $2, and those that are not told
/// apart from the last of them.
pub(crate) fn events_behind(batch_events: &str) -> String {
    format!(
        "select {READ_COLUMNS} from ({batch_events}) batch where (ev_id, ev_txid) > ($1, $2) \
         order by ev_id, ev_txid fetch first $3 rows with ties"
    )
}

/// Makes the statement that streams a batch's events out, with their ids or without.
pub(crate) fn copy_out(batch_events: &str, ids: bool) -> String {
    let id = if ids { "ev_id, " } else { "" };
    format!(
        "copy (select {id}{EVENT_COLUMNS} from ({batch_events}) batch order by ev_id) to stdout (format binary)"
    )
}

/// Makes the statement that streams events into a table, whose name is quoted already.
pub(crate) fn copy_in(table: &str, ids: bool) -> String {
    let id = if ids { "ev_id, " } else { "" };
    format!("copy {table} ({id}{EVENT_COLUMNS}) from stdin (format binary)")
}

/// Makes the statement that moves a queue's sequence of ids behind those that this transaction has written into a
/// table, whose name is quoted already, and by as many as there are, so that the ticker sees them. $1 queue,
/// $2 how many there are.
pub(crate) fn move_ids(table: &str) -> String {
    format!(
        "select pg_catalog.setval(pgq.quote_fqname(queue_event_seq)::pg_catalog.regclass, \
             greatest(pgq.seq_getval(queue_event_seq) + $2, (select pg_catalog.max(ev_id) from {table} \
                 where ev_txid = pg_catalog.txid_current()))) \
         from pgq.queue where queue_name = $1"
    )
}
