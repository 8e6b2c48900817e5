-- Waits for other transactions that insert a row of this key into a table, and makes later ones wait for this transaction.
-- Raises a serialization failure if another one has inserted a row that this transaction's snapshot does not contain.
-- Internal (DESIGN.md, D127).
create or replace function pgq_ext._lock_key(a_table text, variadic a_key text[])
returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    insert into pgq_ext.applied_key (table_name, key_values) values (a_table, a_key)
    on conflict (table_name, key_values) do update set table_name = excluded.table_name;
end
$$;
