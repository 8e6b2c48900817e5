-- Makes an event of each change of a table's rows, with the row urlencoded.
--
-- ev_type is `I:`, `U:` or `D:` and the key's columns with commas between them, `R` for a truncate; ev_data
-- the row, ev_extra1 the table, ev_extra2 the old row urlencoded with the argument `backup`.
--
-- Arguments and errors: see trigger_begin.sql.
create or replace function pgq.logutriga()
returns trigger
language plpgsql cost 1
as $$
declare
