-- Makes an event of each change of a table's rows, with the row as JSON.
--
-- ev_type is a JSON object with `op`, `table` (schema and name) and `pkey` (the key's columns); ev_data the
-- row, or `{}` for a truncate; ev_extra1 the table, ev_extra2 the old row with the argument `backup`.
--
-- Arguments and errors: see trigger_begin.sql.
create or replace function pgq.jsontriga()
returns trigger
language plpgsql cost 1
as $$
declare
