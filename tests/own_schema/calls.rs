//! Calls by hand: answers, errors and the rows that they leave behind.

use super::peer::Peers;

/// Creates and configures queues, with right and with wrong arguments.
const QUEUES: &str = r#"select pgq.version(), pgq.upgrade_schema()
    select pgq.create_queue(null)
    select pgq.create_queue('q1')
    select pgq.create_queue('q1')
    select pgq.create_queue('')
    select pgq.create_queue('odd ''name'' "x" \ %')
    select pgq.set_queue_config('q1', 'nope', '1')
    select pgq.set_queue_config('nope', 'ticker_max_lag', '1')
    select pgq.set_queue_config('nope', 'nope', '1')
    select pgq.set_queue_config(null, 'ticker_max_lag', '1')
    select pgq.set_queue_config('q1', null, '1')
    select pgq.set_queue_config('q1', 'ticker_max_lag', null)
    select pgq.set_queue_config('q1', 'per_tx_limit', null)
    select pgq.set_queue_config('q1', 'ticker_max_lag', 'abc')
    select pgq.set_queue_config('q1', 'ticker_max_lag', '5')
    select pgq.set_queue_config('q1', 'ticker_max_count', '5')
    select pgq.set_queue_config('q1', 'ticker_max_count', '5x')
    select pgq.set_queue_config('q1', 'ticker_max_count', '')
    select pgq.set_queue_config('q1', 'ticker_idle_period', '7 minutes')
    select pgq.set_queue_config('q1', 'rotation_period', '1 day')
    select pgq.set_queue_config('q1', 'ticker_paused', 'true')
    select pgq.set_queue_config('q1', 'ticker_paused', 'maybe')
    select pgq.set_queue_config('q1', 'external_ticker', 'f')
    select pgq.set_queue_config('odd ''name'' "x" \ %', 'ticker_max_lag', '4''')
    select pgq.set_queue_config('odd ''name'' "x" \ %', 'ticker_max_lag', '4')
    select pgq.set_queue_config('q1', 'queue_ticker_max_lag', '5')
    select pgq.set_queue_config('q1', 'TICKER_MAX_LAG', '5')
    select pgq.set_queue_config('q1', 'disable_insert', '1')
    select pgq.set_queue_config('q1', 'per_tx_limit', '2')
    select pgq.set_queue_config('q1', 'ntables', '4')
    select pgq.set_queue_config('q1', 'extra_maint', '{a}')
    select pgq.set_queue_config('q1', 'name', 'x')"#;

#[test]
fn queues_are_created_configured_and_dropped_alike() {
    let mut peers = Peers::create();
    peers.all_same(QUEUES);
    peers.same_tables();
    peers.all_same(
        "select pgq.register_consumer('q1', 'c')
        select pgq.drop_queue('nope')
        select pgq.drop_queue('nope', true)
        select pgq.drop_queue(null)
        select pgq.drop_queue(null, true)
        select pgq.drop_queue('q1')
        select pgq.drop_queue('q1', false)
        select pgq.drop_queue('q1', null)
        select pgq.drop_queue('q1', true)
        select pgq.drop_queue('')
        select pgq.create_queue('q1')
        select relname from pg_class where relnamespace = 'pgq'::regnamespace and relkind <> 'c' \
             and relname !~ '^(registration|retry_mark|rq_txid_idx|subscription_(pkey|batch_idx|newest_idx|open_idx)|tick_endless_idx)' order by 1",
    );
    peers.same_tables();
}

/// Inserts events into queues that are enabled, disabled or limited.
const INSERTS: &str = "select pgq.create_queue('q')
    select pgq.create_queue('p')
    select pgq.insert_event('q', 'type', 'data')
    select pgq.insert_event('q', null, null)
    select pgq.insert_event('q', 't', 'd', '1', '2', null, '4')
    select pgq.insert_event('nope', 't', 'd')
    select pgq.insert_event(null, 't', 'd')
    select pgq.insert_event_raw('q', 100, '2020-01-01', 7, 3, 't', 'd', '1', null, '3', null)
    select pgq.insert_event_raw('q', null, null, null, null, null, null, null, null, null, null)
    select pgq.insert_event_raw(null, 1, null, null, null, null, null, null, null, null, null)
    select pgq.insert_event_raw('nope', 1, null, null, null, null, null, null, null, null, null)
    select ev_time from pgq.event_1 where ev_id = 100
    select pgq.current_event_table('q')
    select pgq.current_event_table('nope')
    select pgq.current_event_table(null)
    update pgq.queue set queue_disable_insert = true where queue_name = 'q'
    select pgq.insert_event('q', 'a', 'b')
    select pgq.insert_event_raw('q', 9, null, null, null, null, null, null, null, null, null)
    select pgq.current_event_table('q')
    select pgq.insert_event('p', 'a', 'b')
    set session_replication_role = local
    select pgq.insert_event('q', 'a', 'b')
    select pgq.current_event_table('q')
    set session_replication_role = replica
    select pgq.insert_event('q', 'a', 'b')
    select pgq.current_event_table('q')
    reset session_replication_role
    update pgq.queue set queue_disable_insert = false, queue_per_tx_limit = 2
    begin; select pgq.insert_event('q', 'a', '1'), pgq.insert_event('p', 'a', '1'), pgq.insert_event('q', 'a', '2'); commit
    begin; select pgq.insert_event('q', 'a', '1'), pgq.insert_event('p', 'a', '1'), pgq.insert_event('p', 'a', '2'); commit
    begin; select pgq.insert_event('q', 'a', '1'), pgq.insert_event('q', 'a', '1'), pgq.insert_event('q', 'a', '2'); commit
    rollback
    select pgq.insert_event('q', 'a', '3'), pgq.insert_event('q', 'a', '4')
    update pgq.queue set queue_per_tx_limit = 0
    select pgq.insert_event('q', 'a', '5')
    update pgq.queue set queue_per_tx_limit = -1
    select pgq.insert_event('q', 'a', '6'), pgq.insert_event('q', 'a', '7')
    begin isolation level repeatable read; select pgq.insert_event('q', 'a', '8'); commit
    begin isolation level serializable; select pgq.insert_event('q', 'a', '9'); commit";

#[test]
fn events_are_inserted_alike() {
    let mut peers = Peers::create();
    peers.all_same(INSERTS);
    peers.same_tables();
}

#[test]
fn the_small_helpers_answer_alike() {
    let mut peers = Peers::create();
    peers.all_same(
        r#"select pgq.create_queue('q')
        select pgq.quote_fqname(name) from unnest(array['a', 'a.b', 'a.b.c', 'A.b C', '"a".b', null, '', '.x', 'x.', 'select', 'a"b.c'])  name
        select pgq.insert_event('q', 'a', 'b')
        select pgq.seq_getval('pgq.event_1_id_seq')
        select pgq.seq_getval('event_1_id_seq')
        select pgq.seq_getval('pgq.nope')
        select pgq.seq_getval(null)
        select pgq.seq_setval('pgq.event_1_id_seq', 1)
        select pgq.seq_setval('pgq.event_1_id_seq', 50)
        select pgq.seq_setval('pgq.event_1_id_seq', 5)
        select pgq.seq_setval('pgq.event_1_id_seq', null)
        select pgq.seq_setval('nope', 5)
        create sequence public.s
        select pgq.seq_getval('s'), pgq.seq_setval('s', 1), pgq.seq_setval('public.s', 2), nextval('s')
        select pgq.tune_storage('q')
        select pgq.tune_storage('nope')
        select pgq.tune_storage(null)
        select pgq.grant_perms('q')
        select pgq.grant_perms('nope')
        select pgq.grant_perms(null)
        create table public.t1 (a int); create table public."T 2" (a int)
        grant select on t1 to public; grant insert, update on t1 to pgq_reader with grant option; grant all on "T 2" to pgq_writer
        select pgq._grant_perms_from('public', 't1', 'public', 'T 2')
        select array(select regexp_replace(acl::text, 'm[*]?/', '/') from unnest(relacl) acl order by 1) from pg_class where relname = 'T 2'
        select pgq._grant_perms_from('public', 't1', 'public', 'nope')
        select pgq._grant_perms_from('public', 'nope', 'public', 'T 2')
        select pgq._grant_perms_from('public', 't1', 'nope', 'T 2')
        select pgq._grant_perms_from(null, 't1', 'nope', 'T 2')
        select pgq.force_tick('q')
        select pgq.force_tick('nope')
        select pgq.force_tick(null)
        update pgq.queue set queue_ticker_paused = true
        select pgq.force_tick('q')"#,
    );
    peers.same_tables();
}

#[test]
fn queues_and_consumers_are_described_alike() {
    let mut peers = Peers::create();
    peers.all_same(
        "select pgq.create_queue('q')
        select pgq.create_queue('a')
        select setval('pgq.event_1_id_seq', 1), setval('pgq.event_2_id_seq', 1)
        update pgq.tick set tick_event_seq = 1
        delete from pgq.tick where tick_queue = 1
        select * from pgq.get_queue_info('nope')
        select * from pgq.get_consumer_info()
        begin
        insert into pgq.tick select 1, 3 * n, now() - (100 - n) * interval '7 s', '10:10:', n * n from generate_series(1, 99) n
        select pgq.register_consumer('q', 'z'), pgq.register_consumer_at('q', 'b', 9), pgq.register_consumer('a', 'm')
        select pgq.next_batch('q', 'b')
        select queue_name, queue_ntables, queue_cur_table, queue_rotation_period, queue_external_ticker, queue_ticker_paused, queue_ticker_max_count, queue_ticker_max_lag, queue_ticker_idle_period, ev_new, last_tick_id from pgq.get_queue_info()
        select ticker_lag, ev_per_sec, ev_new from pgq.get_queue_info('q')
        select queue_name from pgq.get_queue_info(null)
        select queue_name, consumer_name, last_tick, current_batch, next_tick, pending_events from pgq.get_consumer_info()
        select lag, last_seen, consumer_name, pending_events from pgq.get_consumer_info('q')
        select queue_name, consumer_name from pgq.get_consumer_info(null, 'b')
        select queue_name, consumer_name from pgq.get_consumer_info('q', null)
        select queue_name, consumer_name from pgq.get_consumer_info(null, null)
        select queue_name, consumer_name from pgq.get_consumer_info(null)
        select queue_name, consumer_name from pgq.get_consumer_info('q', 'nope')
        update pgq.subscription set sub_last_tick = null where sub_batch is null
        select lag, last_seen, consumer_name, pending_events from pgq.get_consumer_info('q')
        select pgq.get_batch_info(1)::text = ''
        commit",
    );
}

/// Calls every function and reads every table as the role `ROLE`.
const CALLS: &str = "select pgq.insert_event('q', 'a', 'b')
    select pgq.insert_event('q', 'a', 'b', 'c', 'd', 'e', 'f')
    select pgq.insert_event_raw('q', null, null, null, null, 'a', 'b', null, null, null, null)
    select pgq.current_event_table('q')
    insert into pgq.event_1_0 (ev_time) values (now())
    select pgq.register_consumer('q', 'ROLE')
    select pgq.ticker('q') is null
    select pgq.ticker() is null
    select pgq.force_tick('q')
    select ev_type from pgq.get_batch_events(pgq.next_batch('q', 'ROLE'))
    select count(*) from pgq.get_batch_events(1)
    select pgq.batch_event_tables(1)
    select pgq.event_retry(1, 1, 3600)
    select pgq.finish_batch(1)
    select pgq.maint_retry_events()
    select pgq.maint_rotate_tables_step1('q')
    select pgq.maint_rotate_tables_step2()
    select count(*) from pgq.maint_operations()
    select pgq.create_queue('ROLE')
    select tableowner = 'postgres' from pg_tables where tablename = 'event_2'
    select pgq.set_queue_config('q', 'ticker_max_lag', '0')
    select pgq.drop_queue('ROLE')
    select pgq.tune_storage('q')
    select pgq.seq_setval('pgq.event_1_id_seq', 3000)
    select pgq.seq_getval('pgq.event_1_id_seq')
    select queue_name from pgq.get_queue_info()
    select queue_name from pgq.get_consumer_info()
    select count(*) from pgq.queue, pgq.consumer, pgq.tick, pgq.subscription
    select count(*) from pgq.event_1
    select count(*) from pgq.retry_queue
    truncate pgq.event_1_2
    delete from pgq.tick where false
    select pgq.version(), pgq.quote_fqname('x'), pgq.upgrade_schema()
    select pgq.unregister_consumer('q', 'ROLE')
    reset role";

#[test]
fn roles_may_do_the_same() {
    let mut peers = Peers::create();
    peers.all_same(
        "select pgq.create_queue('q')
        update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0'",
    );
    for role in ["pgq_reader", "pgq_writer", "pgq_admin", "pg_monitor"] {
        peers.same(&format!("set role {role}"));
        peers.all_same(&CALLS.replace("ROLE", role));
    }
}
