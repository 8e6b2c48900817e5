-- Returns the last value of a sequence, or its first one if none was taken yet.
create or replace function pgq.seq_getval(i_seq_name text)
returns bigint
language plpgsql strict set search_path = pg_catalog, pg_temp
as $$
declare
    reached bigint;
begin
    execute 'select last_value from ' || pgq.quote_fqname(i_seq_name) into reached;
    return reached;
end
$$;
