-- Returns the turn of the tables of keys, for a transaction that writes keys. The transaction gets its id before, by which
-- the next turns wait for its end. Internal.
--
-- Errors: the turn has changed since the transaction's snapshot.
create or replace function pgq._event_key_turn()
returns pgq.event_key_turn
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    turn pgq.event_key_turn;
begin
    perform txid_current();
    if current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
        -- Locking the row fails if it has changed since the snapshot.
        select * into turn from pgq.event_key_turn for key share;
    else
        select * into turn from pgq.event_key_turn;
    end if;
    return turn;
end
$$;
