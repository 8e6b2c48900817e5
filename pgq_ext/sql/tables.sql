-- The record of batches and events of other databases that were applied here. keys.sql adds the indexes of the tables whose
-- rows get a new version with each batch (DESIGN.md, D127).

create schema if not exists pgq_ext;

-- The tick up to which a serial consumer has applied its queue.
create table if not exists pgq_ext.completed_tick (
    consumer_id     text    not null,
    subconsumer_id  text    not null default '',
    last_tick_id    bigint  not null
);

-- The last batch that a remote consumer has applied.
create table if not exists pgq_ext.completed_batch (
    consumer_id     text    not null,
    subconsumer_id  text    not null default '',
    last_batch_id   bigint  not null
);

-- The events of a batch that a consumer applies one by one.
create table if not exists pgq_ext.completed_event (
    consumer_id     text    not null,
    subconsumer_id  text    not null default '',
    batch_id        bigint  not null,
    event_id        bigint  not null,
    primary key (consumer_id, subconsumer_id, batch_id, event_id)
);

-- The batch of the events in completed_event.
create table if not exists pgq_ext.partial_batch (
    consumer_id     text    not null,
    subconsumer_id  text    not null default '',
    cur_batch_id    bigint  not null
);

-- The last batch whose events a consumer of a queue claims one by one, and when the process that may claim them opened it
-- (DESIGN.md, D114).
create table if not exists pgq_ext.claimed_batch (
    queue_name      text        not null,
    consumer_id     text        not null,
    batch_id        bigint      not null,
    tick_id         bigint      not null,
    tick_time       timestamptz not null,
    opened_at       timestamptz not null
);

-- The claimed events of that batch. The mark distinguishes events of one id.
create table if not exists pgq_ext.claimed_event (
    queue_name      text    not null,
    consumer_id     text    not null,
    batch_id        bigint  not null,
    event_id        bigint  not null,
    event_mark      bigint  not null,
    primary key (queue_name, consumer_id, batch_id, event_id, event_mark)
);

-- The tick behind a number of one of the tables above: `tick` for completed_tick, `batch` for completed_batch, `events` for
-- partial_batch. The time distinguishes ticks of the same number and is valid only for the number that it was recorded with
-- (DESIGN.md, D29).
create table if not exists pgq_ext.checkpoint (
    consumer_id     text        not null,
    subconsumer_id  text        not null default '',
    kind            text        not null,
    number          bigint      not null,
    prev_tick_id    bigint,
    tick_id         bigint,
    tick_time       timestamptz not null
);

-- The ranges of ticks whose batches a remote consumer and its subconsumers have applied, each range without its last tick,
-- and the last of all these ticks. completed_batch contains only the last batch of each subconsumer.
create table if not exists pgq_ext.completed_range (
    consumer_id     text            not null,
    ticks           int8multirange  not null,
    last_tick_id    bigint          not null,
    last_tick_time  timestamptz     not null
);

-- The keys of the rows of the tables above that have no primary key. A transaction that inserts a row of a key waits here for
-- others that do (DESIGN.md, D127).
create table if not exists pgq_ext.applied_key (
    table_name  text    not null,
    key_values  text[]  not null,
    primary key (table_name, key_values)
);
