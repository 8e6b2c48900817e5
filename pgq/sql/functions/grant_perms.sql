-- Gives a queue's tables and sequences the grants that `event_template` has. Returns 1. Fails when the
-- queue does not exist.
create or replace function pgq.grant_perms(x_queue_name text)
returns integer
language plpgsql security definer set search_path = pg_catalog, pgq, pg_temp
as $$
declare
    que pgq.queue;
    prefix text;
begin
    select q.* into que from pgq.queue q where q.queue_name = x_queue_name;
    if que.queue_id is null then
        raise exception 'Queue not found';
    end if;
    perform pgq._ddl(format('grant select on %s, %s to public', pgq.quote_fqname(que.queue_event_seq),
                   pgq.quote_fqname(que.queue_tick_seq)));
    if to_regrole('pgq_admin') is not null then
        perform pgq._ddl(format('grant usage on %s to pgq_admin', pgq.quote_fqname(que.queue_event_seq)));
    end if;
    prefix := split_part(que.queue_data_pfx, '.', 2);
    perform pgq._grant_perms_from('pgq', 'event_template', 'pgq', prefix || part.suffix)
    from (select '' union all select '_' || n from generate_series(0, que.queue_ntables - 1) n) part (suffix);
    return 1;
end
$$;
