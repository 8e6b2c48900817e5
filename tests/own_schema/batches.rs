//! Consumers, batches and retried events, with calls in SQL.

use super::peer::Peers;

/// Registers, moves and unregisters consumers, with right and with wrong arguments.
const REGISTRATIONS: &str = "select pgq.create_queue('q')
    select pgq.create_queue('p')
    update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0'
    select pgq.register_consumer('q', 'c')
    select pgq.register_consumer('q', 'c')
    select pgq.register_consumer(null, 'c')
    select pgq.register_consumer('q', null)
    select pgq.register_consumer('nope', 'c')
    select pgq.register_consumer('nope', 'new')
    select pgq.ticker('q'), pgq.ticker('q'), pgq.ticker('q')
    select pgq.register_consumer_at('q', 'c', 3)
    select pgq.register_consumer_at('q', 'c', 99)
    select pgq.register_consumer_at('q', 'd', 99)
    select pgq.register_consumer_at('q', 'e', null)
    select pgq.register_consumer_at('q', 'f', 2)
    select pgq.register_consumer_at('q', null, 2)
    select pgq.register_consumer_at(null, 'x', 2)
    select pgq.register_consumer_at('p', 'f', 2)
    select pgq.next_batch('q', 'f')
    select pgq.register_consumer_at('q', 'f', null)
    select sub_batch from pgq.subscription order by 1
    select pgq.register_consumer_at('q', 'f', 1)
    select pgq.event_retry_raw('q', 'f', now(), 1, now(), 1, 't', 'd', null, null, null, null)
    insert into pgq.consumer (co_name) values ('f.1'), ('f.2')
    insert into pgq.subscription (sub_id, sub_queue, sub_consumer) select s.sub_id, 1, f.co_id from pgq.consumer f, pgq.consumer c, pgq.subscription s where f.co_name like 'f._' and c.co_name = 'f' and s.sub_consumer = c.co_id
    select pgq.unregister_consumer('q', 'f.1')
    select pgq.unregister_consumer('q', 'f')
    select pgq.unregister_consumer('q', 'f')
    select pgq.unregister_consumer('nope', 'c')
    select pgq.unregister_consumer(null, 'c')
    select pgq.unregister_consumer('q', null)
    select pgq.register_consumer('p', 'c')
    select pgq.unregister_consumer('q', 'c')
    select co_name from pgq.consumer order by 1
    select pgq.unregister_consumer('p', 'c')
    delete from pgq.tick where tick_queue = 2
    select pgq.register_consumer('p', 'c')
    select pgq.register_consumer_at('p', 'c', 1)";

#[test]
fn consumers_are_registered_and_moved_alike() {
    let mut peers = Peers::create();
    peers.all_same(REGISTRATIONS);
    peers.same_tables();
}

#[test]
fn members_of_a_group_are_unregistered_alike() {
    let mut peers = Peers::create();
    peers.all_same(
        "select pgq.create_queue('q')
        select pgq_coop.register_subconsumer('q', 'g', 'a')
        select pgq_coop.register_subconsumer('q', 'g', 'b')
        select pgq_coop.register_subconsumer('q', 'g', 'c')
        select pgq.insert_event('q', 'a', 'b')
        update pgq.queue set queue_ticker_max_lag = '0'
        select pgq.ticker('q')
        select pgq_coop.next_batch('q', 'g', 'a')
        select pgq.unregister_consumer('q', 'g.a')
        select pgq.unregister_consumer('q', 'g.b')
        select co_name, sub_batch from pgq.subscription join pgq.consumer on co_id = sub_consumer order by 1
        select pgq.unregister_consumer('q', 'g')
        select pgq.register_consumer('q', 'alone')
        select pgq.ticker('q')
        select pgq.next_batch('q', 'alone')
        select pgq.unregister_consumer('q', 'alone')",
    );
    peers.same_tables();
}

/// Takes, reads and finishes batches, with right and with wrong arguments.
const BATCHES: &str = "select pgq.create_queue('q')
    update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0'
    select pgq.insert_event('q', 'a', 'before the consumer')
    select pgq.force_tick('q')
    select pgq.ticker('q')
    select pgq.register_consumer('q', 'c')
    select pgq.next_batch('q', 'c')
    select pgq.insert_event('q', 'a', n::text) from generate_series(1, 20) n
    select pgq.ticker('q')
    select pgq.next_batch('q', 'nope')
    select pgq.next_batch('nope', 'c')
    select pgq.next_batch(null, 'c')
    select pgq.next_batch('q', null)
    select * from pgq.next_batch_info('q', 'nope')
    select * from pgq.next_batch_custom('q', 'nope', null, null, null)
    select pgq.next_batch('q', 'c')
    select pgq.next_batch('q', 'c')
    select batch_id, cur_tick_id, prev_tick_id, cur_tick_event_seq, prev_tick_event_seq, cur_tick_time > prev_tick_time from pgq.next_batch_info('q', 'c')
    select batch_id, cur_tick_id, prev_tick_id, cur_tick_event_seq, prev_tick_event_seq from pgq.next_batch_custom('q', 'c', '1 hour', 1000, '1 hour')
    select queue_name, consumer_name, prev_tick_id, tick_id, lag > '0', seq_start, seq_end, batch_end > batch_start from pgq.get_batch_info(1)
    select pgq.get_batch_info(99)
    select pgq.get_batch_info(null)
    select ev_id, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4 from pgq.get_batch_events(1)
    select pgq.get_batch_events(99)
    select pgq.get_batch_events(null)
    select pgq.batch_event_sql(99)
    select pgq.batch_event_sql(null)
    select pgq.batch_event_tables(1)
    select pgq.batch_event_tables(99)
    select pgq.batch_event_tables(null)
    begin; select ev_id from pgq.get_batch_cursor(1, 'cur', 5); move 3 from cur; move all from cur; rollback
    begin; select ev_id from pgq.get_batch_cursor(1, 'cur', 0); move all from cur; rollback
    begin; select ev_id from pgq.get_batch_cursor(1, 'Cur \" x', 100, 'ev_id > 15 and ev_type = ''a'''); commit
    begin; select ev_id from pgq.get_batch_cursor(1, 'cur', 1); select ev_id from pgq.get_batch_cursor(1, 'cur', 1)
    rollback
    select ev_id from pgq.get_batch_cursor(1, 'cur', -1)
    select ev_id from pgq.get_batch_cursor(99, 'cur', 1)
    select ev_id from pgq.get_batch_cursor(99, 'cur', 1, 'true')
    select ev_id from pgq.get_batch_cursor(1, null, 1, 'true')
    select ev_id from pgq.get_batch_cursor(1, 'cur', null, 'true')
    select ev_id from pgq.get_batch_cursor(null, 'cur', 1, 'true')
    select ev_id from pgq.get_batch_cursor(null, 'cur', 1)
    select ev_id from pgq.get_batch_cursor(1, 'cur', 1, 'nope')
    select ev_id from pgq.get_batch_cursor(1, 'cur', 1, 'syntax error')
    select ev_id from pgq.get_batch_cursor(1, 'cur', 1, 'ev_owner is null')
    select ev_id from pgq.get_batch_cursor(1, 'cur', 1, '')
    select pgq.finish_batch(1)
    select pgq.finish_batch(1)
    select pgq.finish_batch(null)
    select pgq.next_batch('q', 'c')
    update pgq.subscription set sub_last_tick = 77
    select pgq.next_batch('q', 'c')
    update pgq.subscription set sub_last_tick = null
    select pgq.next_batch('q', 'c')
    update pgq.subscription set sub_last_tick = 1, sub_batch = 5, sub_next_tick = 99
    select batch_id, cur_tick_id, prev_tick_id from pgq.next_batch_info('q', 'c')";

#[test]
fn batches_are_taken_read_and_finished_alike() {
    let mut peers = Peers::create();
    peers.all_same(BATCHES);
    peers.same_tables();
}

/// Schedules events of a batch for a retry, and redelivers them.
const RETRIES: &str = "select pgq.create_queue('q')
    update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0'
    select pgq.register_consumer('q', 'c')
    select pgq.register_consumer('q', 'other')
    select pgq.insert_event('q', 'a', n::text, 'x', null, null, null) from generate_series(1, 30) n
    select pgq.ticker('q')
    select pgq.next_batch('q', 'c')
    select pgq.event_retry(1, 1, 0)
    select pgq.event_retry(1, 1, 0)
    select pgq.event_retry(1, 2, now())
    select pgq.event_retry(1, 3, '2000-01-01'::timestamptz)
    select pgq.event_retry(1, 4, 3600)
    select pgq.event_retry(1, 999, 0)
    select pgq.event_retry(99, 1, 0)
    select pgq.event_retry(99, 1, now())
    select pgq.event_retry(null, 1, 0)
    select pgq.event_retry(1, null, 0)
    select pgq.event_retry(1, 5, null::int)
    select pgq.event_retry(1, 5, null::timestamptz)
    select pgq.batch_retry(99, 0)
    select pgq.batch_retry(null, 0)
    select pgq.batch_retry(1, null)
    select pgq.batch_retry(1, 0)
    select pgq.batch_retry(1, 0)
    select pgq.finish_batch(1)
    select pgq.maint_retry_events()
    select pgq.maint_retry_events()
    select pgq.maint_retry_events()
    select pgq.maint_retry_events()
    select pgq.event_retry_raw('q', 'c', '2000-01-01', 77, '2000-01-01', null, 'a', 'b', 'c', 'd', 'e', 'f')
    select pgq.event_retry_raw('q', 'c', '2000-01-01', 77, '2000-01-01', null, 'a', 'b', 'c', 'd', 'e', 'f')
    select pgq.event_retry_raw('q', 'c', '2000-01-01', null, '2000-01-01', 7, 'a', 'b', 'c', 'd', 'e', 'f')
    select pgq.event_retry_raw('q', 'c', '2000-01-01', null, null, 7, 'a', 'b', 'c', 'd', 'e', 'f')
    select pgq.event_retry_raw('q', 'c', null, null, '2000-01-01', 7, 'a', 'b', 'c', 'd', 'e', 'f')
    select pgq.event_retry_raw('q', 'nope', null, null, '2000-01-01', 7, 'a', 'b', 'c', 'd', 'e', 'f')
    select pgq.event_retry_raw('nope', 'c', null, null, '2000-01-01', 7, 'a', 'b', 'c', 'd', 'e', 'f')
    select pgq.maint_retry_events()
    select pgq.ticker('q')
    select pgq.next_batch('q', 'c')
    select pgq.next_batch('q', 'other')
    select ev_id, ev_retry, ev_data, ev_extra1 from pgq.get_batch_events(2)
    select ev_id, ev_retry, ev_data, ev_extra1 from pgq.get_batch_events(3)
    select pgq.finish_batch(3)
    select pgq.next_batch('q', 'other')
    select ev_id, ev_retry, ev_data, ev_extra1 from pgq.get_batch_events(4)
    select pgq.batch_retry(2, 0)
    update pgq.queue set queue_disable_insert = true
    select pgq.maint_retry_events()";

#[test]
fn events_are_redelivered_alike() {
    let mut peers = Peers::create();
    peers.all_same(RETRIES);
    peers.same_tables();
}
