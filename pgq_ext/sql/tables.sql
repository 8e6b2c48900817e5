-- What has been done here of batches that live in another database.

create schema if not exists pgq_ext;

-- The tick up to which a serial consumer has applied its queue.
create table if not exists pgq_ext.completed_tick (
    consumer_id     text    not null,
    subconsumer_id  text    not null default '',
    last_tick_id    bigint  not null,
    primary key (consumer_id, subconsumer_id)
);

-- The last batch that a remote consumer has applied.
create table if not exists pgq_ext.completed_batch (
    consumer_id     text    not null,
    subconsumer_id  text    not null default '',
    last_batch_id   bigint  not null,
    primary key (consumer_id, subconsumer_id)
);

-- The events of a batch that a consumer applies one by one.
create table if not exists pgq_ext.completed_event (
    consumer_id     text    not null,
    subconsumer_id  text    not null default '',
    batch_id        bigint  not null,
    event_id        bigint  not null,
    primary key (consumer_id, subconsumer_id, batch_id, event_id)
);

-- The batch that completed_event is about.
create table if not exists pgq_ext.partial_batch (
    consumer_id     text    not null,
    subconsumer_id  text    not null default '',
    cur_batch_id    bigint  not null,
    primary key (consumer_id, subconsumer_id)
);
