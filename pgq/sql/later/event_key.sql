-- Keys of events that are inserted once, each with its event and the time until which it is kept. Three tables take turns,
-- so that old keys are removed by truncating a table (DESIGN.md, D129).
do $$
declare
    part integer;
begin
    for part in 0 .. 2 loop
        execute pg_catalog.format(
            'create table if not exists pgq.event_key_%1$s ('
            '    key_queue  integer not null,'
            '    key_text   text collate "C" not null,'
            '    key_event  bigint not null,'
            '    key_until  timestamptz not null,'
            '    constraint event_key_%1$s_pkey primary key (key_queue, key_text));'
            'create index if not exists event_key_%1$s_until_idx on pgq.event_key_%1$s (key_until)', part);
    end loop;
end
$$;

-- The turn: the table of new keys; the one before, which new keys are also written to until all transactions that take it
-- for the current one have ended; the tables whose keys count; the one to truncate when nobody reads it any more; and the
-- transaction id up to which all transactions must have ended before the next step. One row.
create table if not exists pgq.event_key_turn (
    turn_current   integer not null default 0,
    turn_previous  integer,
    turn_live      integer[] not null default '{0}',
    turn_retired   integer,
    turn_since     timestamptz not null default pg_catalog.now(),
    turn_settles   bigint default 0
);
alter table pgq.event_key_turn replica identity full;
insert into pgq.event_key_turn (turn_current) select 0 where not exists (select from pgq.event_key_turn);
