-- Events that a consumer gave up, with the reason, until somebody retries or deletes them.
create table if not exists pgq.failed_queue (
    ev_failed_reason  text,
    ev_failed_time    timestamptz  not null default pg_catalog.now(),
    ev_id             bigint       not null,
    ev_time           timestamptz  not null,
    ev_txid           bigint,
    ev_owner          integer      not null,
    ev_retry          integer,
    ev_type           text,
    ev_data           text,
    ev_extra1         text,
    ev_extra2         text,
    ev_extra3         text,
    ev_extra4         text,
    constraint fq_pkey primary key (ev_owner, ev_id)
);

-- Deletes a consumer's failed events together with it. Not a foreign key, since sub_id is not unique:
-- subconsumers share it, and the events stay as long as one row has it.
create or replace function pgq.failed_queue_cleanup()
returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    -- Whoever could set it on a table of his own would have a column of a type of his own read with the owner's rights.
    if tg_relid <> 'pgq.subscription'::regclass then
        raise exception 'pgq.failed_queue_cleanup is a trigger of pgq.subscription alone'
            using errcode = 'insufficient_privilege';
    end if;
    delete from pgq.failed_queue
    where ev_owner in (select sub_id from gone except select sub_id from pgq.subscription);
    return null;
end
$$;

revoke all on function pgq.failed_queue_cleanup() from public;

create or replace trigger failed_queue_cleanup
after delete on pgq.subscription
referencing old table as gone
for each statement execute function pgq.failed_queue_cleanup();
