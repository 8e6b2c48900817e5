-- Moves a sequence forward to a value, never back. Returns its last value.
create or replace function pgq.seq_setval(i_seq_name text, i_new_value bigint)
returns bigint
language plpgsql strict set search_path = pg_catalog, pg_temp
as $$
declare
    reached bigint := pgq.seq_getval(i_seq_name);
begin
    if i_new_value > reached then
        return setval(pgq.quote_fqname(i_seq_name)::regclass, i_new_value);
    end if;
    return reached;
end
$$;
