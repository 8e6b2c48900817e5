-- Removes the tick behind a number, so that the number counts without a tick. Names the number, since a search for a row that
-- does not exist would visit all versions that an old snapshot keeps. Internal.
create or replace function pgq_ext._forget_checkpoint(
    a_consumer text, a_subconsumer text, a_kind text, a_number bigint)
returns void
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_sort = off set jit = off
as $$
begin
    delete from pgq_ext.checkpoint point
    where point.consumer_id = a_consumer
      and point.subconsumer_id = a_subconsumer
      and point.kind = a_kind
      and point.number = a_number;
end
$$;
