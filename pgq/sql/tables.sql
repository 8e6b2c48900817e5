-- Creates the tables and sequences of PgQ that do not exist.

-- Names of consumers.
create table if not exists pgq.consumer (
    co_id    serial primary key,
    co_name  text not null,
    constraint consumer_name_uq unique (co_name)
);

-- Queues, their settings, and the state of the rotation of their tables.
create table if not exists pgq.queue (
    queue_id                  serial primary key,
    queue_name                text not null,
    queue_ntables             integer not null default 3,
    queue_cur_table           integer not null default 0,
    queue_rotation_period     interval not null default '2 hours',
    queue_switch_step1        bigint not null default pg_catalog.txid_current(),
    queue_switch_step2        bigint default pg_catalog.txid_current(),
    queue_switch_time         timestamptz not null default pg_catalog.now(),
    queue_external_ticker     boolean not null default false,
    queue_disable_insert      boolean not null default false,
    queue_ticker_paused       boolean not null default false,
    queue_ticker_max_count    integer not null default 500,
    queue_ticker_max_lag      interval not null default '3 seconds',
    queue_ticker_idle_period  interval not null default '1 minute',
    queue_per_tx_limit        integer,
    queue_data_pfx            text not null,
    queue_event_seq           text not null,
    queue_tick_seq            text not null,
    queue_extra_maint         text[],
    constraint queue_name_uq unique (queue_name)
);

-- Ticks: the transactions that were committed at that moment, and the last event id.
create table if not exists pgq.tick (
    tick_queue      integer not null,
    tick_id         bigint not null,
    tick_time       timestamptz not null default pg_catalog.now(),
    tick_snapshot   txid_snapshot not null default pg_catalog.txid_current_snapshot(),
    tick_event_seq  bigint not null,
    constraint tick_pkey primary key (tick_queue, tick_id),
    constraint tick_queue_fkey foreign key (tick_queue) references pgq.queue (queue_id)
);
-- Finds out quickly that no tick is at `infinity`.
create index if not exists tick_endless_idx on pgq.tick (tick_queue, tick_id) where not pg_catalog.isfinite(tick_time);

-- Numbers batches, over all queues.
create sequence if not exists pgq.batch_id_seq;

-- The queue and consumer of each position. The rows of pgq.subscription get new versions with each batch, so a unique index
-- there would have to visit all versions that an old snapshot keeps. These rows never change (DESIGN.md, D125).
create table if not exists pgq.registration (
    reg_queue     integer not null,
    reg_consumer  integer not null,
    constraint registration_pkey primary key (reg_queue, reg_consumer)
);

-- Positions of consumers: the tick that they have processed, and the batch that they have open.
create table if not exists pgq.subscription (
    sub_id         serial not null,
    sub_queue      integer not null,
    sub_consumer   integer not null,
    sub_last_tick  bigint,
    sub_active     timestamptz not null default pg_catalog.now(),
    sub_batch      bigint,
    sub_next_tick  bigint,
    constraint sub_queue_fkey foreign key (sub_queue) references pgq.queue (queue_id),
    constraint sub_consumer_fkey foreign key (sub_consumer) references pgq.consumer (co_id)
);
do $$
begin
    -- Constraints of an earlier release.
    if exists (select from pg_catalog.pg_constraint
               where conrelid = 'pgq.subscription'::pg_catalog.regclass and contype in ('p', 'u'))
    then
        alter table pgq.subscription
            drop constraint if exists subscription_pkey, drop constraint if exists subscription_batch_idx;
    end if;
    -- Without a primary key, a publication of all tables would refuse the updates.
    if (select relreplident <> 'f' from pg_catalog.pg_class where oid = 'pgq.subscription'::pg_catalog.regclass) then
        alter table pgq.subscription replica identity full;
    end if;
end
$$;
-- The newest version of a row comes first, so that a query with `limit 1` visits no other.
create index if not exists subscription_newest_idx on pgq.subscription (sub_queue, sub_consumer, sub_active desc);
create unique index if not exists subscription_open_idx on pgq.subscription (sub_batch) where sub_batch is not null;

-- The template of every event table.
create table if not exists pgq.event_template (
    ev_id      bigint not null,
    ev_time    timestamptz not null,
    ev_txid    bigint not null default pg_catalog.txid_current(),
    ev_owner   integer,
    ev_retry   integer,
    ev_type    text,
    ev_data    text,
    ev_extra1  text,
    ev_extra2  text,
    ev_extra3  text,
    ev_extra4  text
);

-- Events that wait for their redelivery to the consumer that has tagged them for retry.
create table if not exists pgq.retry_queue (
    ev_retry_after  timestamptz not null,
    ev_queue        integer not null,
    like pgq.event_template,
    constraint rq_pkey primary key (ev_owner, ev_id, ev_retry_after),
    constraint rq_queue_id_fkey foreign key (ev_queue) references pgq.queue (queue_id)
);
alter table pgq.retry_queue alter column ev_owner set not null, alter column ev_txid drop not null;
-- Events of one consumer may have one id. An earlier release took them for one event.
do $$
begin
    if (select pg_catalog.cardinality(conkey) from pg_catalog.pg_constraint
        where conrelid = 'pgq.retry_queue'::pg_catalog.regclass and contype = 'p') < 3
    then
        alter table pgq.retry_queue
            drop constraint rq_pkey, add constraint rq_pkey primary key (ev_owner, ev_id, ev_retry_after);
    end if;
end
$$;
alter table pgq.retry_queue alter column ev_txid set default pg_catalog.txid_current();
create index if not exists rq_retry_idx on pgq.retry_queue (ev_retry_after);
create index if not exists rq_txid_idx on pgq.retry_queue (ev_txid);

-- How far the retry events are delivered: before the time, none that the snapshot contains is left (DESIGN.md, D126). Only
-- the row with the highest number counts.
create table if not exists pgq.retry_mark (
    mark_no        bigint not null,
    mark_time      timestamptz not null,
    mark_snapshot  txid_snapshot not null,
    mark_txid      bigint not null default pg_catalog.txid_current()
);
create index if not exists retry_mark_newest_idx on pgq.retry_mark (mark_no desc);
-- The installation may have changed retry events in ways that the mark does not include.
delete from pgq.retry_mark;
alter table pgq.retry_mark replica identity full;
