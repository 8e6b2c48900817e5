//! Decisions that depend on times and numbers, over many of them, and generated sequences of calls.

use std::fmt::Write;

use super::peer::Peers;
use crate::support::amount::pick;
use crate::support::server::Server;

/// Numbers from a seed (xorshift), the same in every run.
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len() as u64) as usize]
    }
}

/// Returns the ticker's decision for made-up ticks, and rolls everything back.
const DECIDES: &str = "create function public.decides(events int, age interval, gap interval, max_lag interval, idle interval, \
     max_count int, every boolean) returns text language plpgsql as $$ \
     declare made bigint; \
     begin \
         delete from pgq.tick; \
         insert into pgq.tick select 1, -2, now() - age - gap, '10:10:', 100 where age + gap is not null; \
         insert into pgq.tick select 1, -1, now() - age, '10:10:', 100 where age is not null; \
         perform setval('pgq.event_1_id_seq', 100 + events); \
         update pgq.queue set queue_ticker_max_lag = max_lag, queue_ticker_idle_period = idle, \
             queue_ticker_max_count = max_count; \
         if every then made := pgq.ticker(); else made := (pgq.ticker('q') is not null)::int; end if; \
         raise exception '%', made; \
     exception when raise_exception then return sqlerrm; \
     end $$";

/// Cases in which a sequence or the clock was set back are left out: the own schema does not wait for them.
#[test]
fn the_ticker_decides_alike() {
    let mut peers = Peers::create();
    peers.all_same(
        "select pgq.create_queue('q')
        set client_min_messages = error",
    );
    assert_eq!(peers.same(DECIDES), "");
    for every in ["true", "false"] {
        for events in pick(&["0", "5"][..], &["0", "1", "5", "6"]) {
            peers.same_rows(&format!(
                "select age, gap, max_lag, idle, public.decides({events}, age, gap, max_lag, idle, 5, {every}) \
                 from unnest(array[null, '0', '0.5 s', '1 s', '1.5 s', '2 s', '3 s', '5 s', '10 s']::interval[]) age, \
                     unnest(array[null, '0', '0.5 s', '1 s', '2 s', '5 s']::interval[]) gap, \
                     unnest(array['0', '1 s', '3 s', '10 s']::interval[]) max_lag, \
                     unnest(array['0', '1 s', '3 s', '1 min']::interval[]) idle"
            ));
        }
    }
}

#[test]
fn ticks_of_queues_that_are_paused_or_ticked_elsewhere() {
    let mut peers = Peers::create();
    peers.same("select pgq.create_queue('q'), pgq.create_queue('p')");
    for (external, paused) in [(false, false), (true, false), (false, true), (true, true)] {
        peers.all_same(&format!(
            "update pgq.queue set queue_external_ticker = {external}, queue_ticker_paused = {paused} where queue_name = 'q'
            update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0'
            select pgq.ticker('q')
            select pgq.ticker()
            select pgq.ticker('q', 100, '2020-01-01', 1000)
            select pgq.ticker('q', 100, '2020-01-01', 1000)
            select pgq.ticker('q', 50, '2020-01-01', 500)
            select pgq.ticker('q', 101, null, 500)
            select pgq.ticker('q', 101, '2020-01-01', null)
            select pgq.ticker('q', null, '2020-01-01', 500)
            select pgq.ticker('nope', 101, '2020-01-01', 500)
            select pgq.ticker('nope')
            select pgq.ticker(null)
            select pgq.force_tick('q')"
        ));
        peers.same_tables();
    }
    peers.all_same(
        "delete from pgq.tick
        update pgq.queue set queue_external_ticker = false, queue_ticker_paused = false, queue_ticker_max_lag = '1 h', queue_ticker_idle_period = '1 h'
        select pgq.ticker()
        select pgq.ticker()
        begin; delete from pgq.tick; select pgq.ticker('q'); select pgq.ticker('q'); commit",
    );
    peers.same_tables();
}

#[test]
fn the_tick_that_ends_a_batch_is_found_alike() {
    let mut peers = Peers::create();
    peers.all_same(
        "select pgq.create_queue('q')
        select pgq.register_consumer('q', 'c')
        create function public.next(min_lag interval, min_count int, min_interval interval) returns text language plpgsql as $$ declare r record; begin update pgq.subscription set sub_batch = null, sub_next_tick = null, sub_last_tick = 1; select cur_tick_id, prev_tick_id, cur_tick_event_seq, prev_tick_event_seq, batch_id into r from pgq.next_batch_custom('q', 'c', min_lag, min_count, min_interval); return r::text; end $$",
    );
    let ticks = [
        "select 1, n, now() - (60 - n) * interval '1 s', '1:1:', 10 * n from generate_series(1, 60) n",
        "select 1, n * n, now() - (60 - n) * interval '1 s', '1:1:', n * n from generate_series(1, 20) n",
        "select 1, n, now() - (60 - n) * interval '1 s', '1:1:', case when n < 30 then n else 1000 + n end from generate_series(1, 60) n",
        "select 1, n, now() - (200 - n - n * 7 % 30) * interval '1 s', '1:1:', n + n * 7 % 30 from generate_series(1, 60) n",
    ];
    for made in ticks {
        peers.same("begin");
        peers.same("delete from pgq.tick");
        peers.same(&format!("insert into pgq.tick {made}"));
        peers.same_rows(
            "select min_count, min_interval, pgq.find_tick_helper(1, 1, first.tick_time, first.tick_event_seq, min_count, min_interval)::text \
             = pgq.find_tick_helper(1, 1, first.tick_time, first.tick_event_seq, min_count, min_interval)::text, \
             (pgq.find_tick_helper(1, 1, first.tick_time, first.tick_event_seq, min_count, min_interval)).next_tick_id \
             from (select * from pgq.tick where tick_id = 1) first, \
             unnest(array[null, -1, 0, 1, 5, 10, 11, 100, 199, 200, 294, 295, 296, 300, 580, 590, 591, 1000, 2000]) min_count, \
             unnest(array[null, '-1 s', '0', '1 s', '1.5 s', '10 s', '29 s', '29.5 s', '30 s', '59 s', '1 min', '1 h']::interval[]) min_interval",
        );
        peers.same_rows(
            "select min_lag, min_count, min_interval, public.next(min_lag, min_count, min_interval) from \
             unnest(array[null, '-1 s', '0', '30 s', '58 s', '59 s', '60 s', '10 min']::interval[]) min_lag, \
             unnest(array[null, 0, 10, 290, 300, 600]) min_count, \
             unnest(array[null, '1 s', '20 s', '40 s', '59 s', '10 min']::interval[]) min_interval",
        );
        peers.same("commit");
    }
}

const TABLES_OF_A_BATCH: &str = "create function public.tables(step1 bigint, step2 bigint, first txid_snapshot, last txid_snapshot, cur int, n int) \
     returns text language plpgsql as $$ \
     declare answer text; \
     begin \
         delete from pgq.tick; \
         insert into pgq.tick values (1, 1, now(), first, 1), (1, 2, now(), last, 1); \
         update pgq.queue set queue_switch_step1 = step1, queue_switch_step2 = step2, queue_cur_table = cur, queue_ntables = n; \
         update pgq.subscription set sub_last_tick = 1, sub_next_tick = 2, sub_batch = 5; \
         select string_agg(name, ' ') into answer from pgq.batch_event_tables(5) name; \
         return answer; \
     end $$";

#[test]
fn the_tables_of_a_batch_are_the_same() {
    let mut peers = Peers::create();
    peers.all_same(
        "select pgq.create_queue('q')
        select pgq.register_consumer('q', 'c')",
    );
    assert_eq!(peers.same(TABLES_OF_A_BATCH), "");
    peers.same_rows(
        "select first, last, step1, later, public.tables(step1, step1 + later, first::txid_snapshot, last::txid_snapshot, cur, n) \
         from (values ('10:10:', '20:20:'), ('10:15:12', '20:20:'), ('10:20:12,14', '10:30:12,25')) batch (first, last), \
         unnest(array[5, 9, 10, 11, 14, 15, 16, 19, 20, 21, 25, 29, 30, 31]) step1, unnest(array[0, 1, 3, null]) later, \
         (values (0, 3), (1, 3), (2, 3), (1, 2), (4, 5)) tables (cur, n)",
    );
}

const ROTATES: &str = "create function public.rotates(at_tick int, step2 bigint, period interval) returns text language plpgsql as $$ \
     declare answer text; \
     begin \
         delete from pgq.tick; \
         insert into pgq.tick select 1, n, now(), s::txid_snapshot, 1 \
             from unnest(array['10:10:', '20:20:', '30:35:', '35:40:37', '50:50:', '60:60:']) with ordinality t (s, n); \
         update pgq.subscription set sub_last_tick = at_tick; \
         update pgq.queue set queue_switch_step1 = coalesce(step2, 10) - 1, queue_switch_step2 = step2, queue_rotation_period = period, \
             queue_switch_time = now() - interval '1 s'; \
         perform pgq.maint_rotate_tables_step1('q'); \
         select concat_ws(' ', queue_cur_table, queue_switch_step2, queue_switch_time = now(), queue_switch_step1 = txid_current(), \
             (select string_agg(tick_id::text, ',' order by tick_id) from pgq.tick)) into answer from pgq.queue; \
         raise exception '%', answer; \
     exception when raise_exception then return sqlerrm; \
     end $$";

#[test]
fn the_first_step_of_a_rotation_decides_alike() {
    let mut peers = Peers::create();
    peers.all_same(
        "select pgq.create_queue('q')
        select pgq.register_consumer('q', 'c')",
    );
    assert_eq!(peers.same(ROTATES), "");
    let decide = "select position, step2, period, public.rotates(position, step2, period) \
         from unnest(array[1, 2, 3, 4, 5, 6, 9, null]) position, \
         unnest(array[null, 5, 9, 10, 11, 20, 29, 30, 33, 35, 36, 39, 45, 50, 51, 60, 70]::bigint[]) step2, \
         unnest(array['0', '0.9 s', '1 s', '2 s']::interval[]) period";
    peers.same_rows(decide);
    peers.same("delete from pgq.subscription");
    peers.same_rows(decide);
}

#[test]
fn maintenance_lists_the_same() {
    let mut peers = Peers::create();
    let list = "select * from pgq.maint_operations()";
    peers.all_same(&format!(
        "select pgq.create_queue('b'), pgq.create_queue('a'), pgq.create_queue('c')
        {list}
        update pgq.queue set queue_rotation_period = '0', queue_extra_maint = '{{x.y,z}}' where queue_name <> 'b'
        {list}
        update pgq.queue set queue_switch_step2 = null where queue_name = 'a'
        {list}
        update pgq.queue set queue_rotation_period = '1 h', queue_external_ticker = true
        {list}
        create schema pgq_node; create table pgq_node.node_info (queue_name text, node_type text); insert into pgq_node.node_info values ('c', 'root'), ('a', 'root'), ('b', 'branch')
        create function pgq_node.maint_watermark(text) returns int language sql as 'select 0'
        {list}
        create schema londiste; create table londiste.seq_info (queue_name text, local bool); insert into londiste.seq_info values ('a', true), ('a', true), ('b', true), ('c', false)
        create function londiste.root_check_seqs(text) returns int language sql as 'select 0'; create function londiste.periodic_maintenance() returns int language sql as 'select 0'
        {list}
        select * from pgq.maint_tables_to_vacuum()"
    ));
}

/// One step of a life with queues; times are such that the answers do not depend on how long it takes.
fn step(numbers: &mut Numbers) -> String {
    let queue = numbers.pick(&["q1", "q1", "q1", "q2", "q3", "nope"]);
    let consumer = numbers.pick(&["c1", "c1", "c2", "c3"]);
    let number = numbers.below(30);
    match numbers.below(22) {
        0 => format!("select pgq.create_queue('{queue}')"),
        1 => format!("select pgq.drop_queue('{queue}', {})", number == 0),
        2 => format!("select pgq.register_consumer('{queue}', '{consumer}')"),
        3 if number < 10 => format!("select pgq.unregister_consumer('{queue}', '{consumer}')"),
        3 => format!("select pgq.register_consumer_at('{queue}', '{consumer}', {number})"),
        4..=7 => format!("select pgq.insert_event('{queue}', 'type', n::text) from generate_series(1, {number}) n"),
        8 => format!("begin; select pgq.insert_event('{queue}', 'type', 'lost'); rollback"),
        9 => format!("select pgq.insert_event_raw('{queue}', {number}, null, null, null, 'raw', 'x', null, null, null, null)"),
        10..=12 => format!("select pgq.ticker('{queue}')"),
        13 => "select pgq.ticker()".to_owned(),
        14 => format!("select pgq.force_tick('{queue}')"),
        15 | 16 => format!("select pgq.next_batch('{queue}', '{consumer}')"),
        17 => format!("select (pgq.next_batch_custom('{queue}', '{consumer}', null, {number}, null)).cur_tick_id"),
        18 => "select pgq.finish_batch(max(sub_batch)) from pgq.subscription".to_owned(),
        19 => "select pgq.event_retry(sub_batch, ev_id, 0) from (select max(sub_batch) sub_batch from pgq.subscription) open, \
               lateral pgq.get_batch_events(sub_batch) where ev_id % 3 = 0 and sub_batch is not null"
            .to_owned(),
        20 => "select pgq.maint_retry_events()".to_owned(),
        _ => format!("select pgq.maint_rotate_tables_step1('{queue}')"),
    }
}

#[test]
fn generated_sequences_of_calls_leave_the_same_behind() {
    // Servers of their own, since rotation depends on the transactions of all databases.
    let servers = [Server::builder().with_pgq(), Server::builder()]
        .map(|server| server.setting("autovacuum", "off").start().expect("a server"));
    for seed in 1..=pick(2, 6) {
        let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed));
        let mut peers = Peers::create_on(&servers, &format!("seed{seed}"));
        peers.all_same(
            "alter table pgq.queue alter queue_ticker_max_lag set default '0', alter queue_ticker_idle_period set default '0', alter queue_rotation_period set default '0'
            select pgq.create_queue('q1'), pgq.create_queue('q2')
            select pgq.register_consumer('q1', 'c1'), pgq.register_consumer('q2', 'c1')
            set client_min_messages = error",
        );
        for _ in 0..250 {
            let statement = step(&mut numbers);
            peers.same(&statement);
            peers.same("rollback");
            if statement.contains("step1") {
                peers.same("select pgq.maint_rotate_tables_step2()");
            }
        }
        peers.same_tables();
        let mut drained = String::new();
        for consumer in ["c1", "c2", "c3"] {
            writeln!(
                drained,
                "select queue_name, b.batch_id, b.prev_tick_id, b.cur_tick_id, e.ev_id, e.ev_retry, e.ev_type, e.ev_data \
                 from pgq.get_consumer_info() i, lateral pgq.next_batch_info(i.queue_name, i.consumer_name) b, \
                 lateral pgq.get_batch_events(b.batch_id) e where i.consumer_name = '{consumer}' and b.batch_id is not null \
                 order by 1, 2, 5, 6, 8"
            )
            .expect("a string grows");
        }
        peers.all_same(&drained);
    }
}
