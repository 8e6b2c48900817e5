-- Gives a retry event that was inserted or changed by hand the id of its transaction, by which it is found to be new.
create or replace function pgq._retry_txid()
returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    new.ev_txid := txid_current();
    return new;
end
$$;

revoke all on function pgq._retry_txid() from public;

create or replace trigger retry_txid
before insert or update on pgq.retry_queue
for each row when (new.ev_txid is distinct from pg_catalog.txid_current())
execute function pgq._retry_txid();
