-- Returns the beginning of a statement: the rows that event_failed_many and event_retry_many find in a batch. Internal.
--
-- The statement's values: $1 the ids of events, $2 a value for each of them, $3 their marks, $4 the consumer's sub_id.
-- A row without a mark names the only event of its id.
--
--   tagged     the ids, values and marks; the last ones of an event that is named several times
--   several    the ids that different events of the batch have
--   events     the named events of the batch, with `value` and `mark`
--   distinct_events   the named events, each with its latest delivery only
--
-- These queries are materialized, so that the batch is read once and all counts are of the same rows.
create or replace function pgq._tagged_events_sql(x_batch_id bigint)
returns text
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    return format(
        'with tagged as materialized ('
        '    select distinct on (id, mark) id, mark, value '
        '    from unnest($1, $2, $3) with ordinality tag (id, value, mark, place) '
        '    order by id, mark, place desc), '
        'named as materialized ('
        '    select batch.*, mark, value from (%s) batch join tagged on id = ev_id), '
        'several as materialized ('
        '    select ev_id as several_id from ('
        '        select distinct ev_id, ev_time, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4 '
        '        from named where ev_id in (select ev_id from named group by ev_id having count(*) > 1)) different '
        '    group by ev_id having count(*) > 1), '
        'events as materialized ('
        '    select * from named '
        '    where ev_id not in (select several_id from several) or mark = substring(sha256(record_send(row('
        '        ev_time, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4))) from 1 for 8)), '
        'distinct_events as materialized ('
        '    select distinct on (ev_id, ev_time, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4) * '
        '    from events '
        '    order by ev_id, ev_time, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4, '
        '        ev_retry desc nulls last), '
        'problem as materialized ('
        '    select (select count(*) from tagged) '
        '            - (select count(*) from (select distinct ev_id, mark from events) found) as absent, '
        '        (select min(several_id) from several where $3 is null) as repeated) ',
        pgq.batch_event_sql(x_batch_id));
end
$$;
