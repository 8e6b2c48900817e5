-- Keeps one row of pgq.registration for each row of pgq.subscription, and thereby each position unique (DESIGN.md, D125).
create or replace function pgq._registration()
returns trigger
language plpgsql security definer set row_security = off set search_path = pg_catalog, pgq, pg_temp
as $$
begin
    -- On a table of another role, the function would read a column of that role's type with the owner's rights.
    if tg_relid <> 'pgq.subscription'::regclass then
        raise exception 'pgq._registration is a trigger of pgq.subscription alone' using errcode = 'insufficient_privilege';
    end if;
    if tg_op <> 'INSERT' then
        delete from pgq.registration where reg_queue = old.sub_queue and reg_consumer = old.sub_consumer;
    end if;
    if tg_op <> 'DELETE' then
        insert into pgq.registration (reg_queue, reg_consumer) values (new.sub_queue, new.sub_consumer)
        on conflict do nothing;
        -- A restore may have inserted the registration first.
        if not found and (
            select count(*) from pgq.subscription s
            where s.sub_queue = new.sub_queue and s.sub_consumer = new.sub_consumer) > 1
        then
            raise exception 'consumer % of queue % has a position already', new.sub_consumer, new.sub_queue
                using errcode = 'unique_violation', constraint = 'registration_pkey';
        end if;
    end if;
    return null;
end
$$;

revoke all on function pgq._registration() from public;

create or replace trigger registration
after insert or delete on pgq.subscription
for each row execute function pgq._registration();

create or replace trigger registration_change
after update of sub_queue, sub_consumer on pgq.subscription
for each row when ((old.sub_queue, old.sub_consumer) is distinct from (new.sub_queue, new.sub_consumer))
execute function pgq._registration();

-- Positions of an earlier release, or of a restore without triggers.
insert into pgq.registration (reg_queue, reg_consumer)
select sub_queue, sub_consumer from pgq.subscription
except select reg_queue, reg_consumer from pgq.registration;
delete from pgq.registration
where (reg_queue, reg_consumer) not in (select sub_queue, sub_consumer from pgq.subscription);
