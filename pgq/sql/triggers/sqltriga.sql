-- Makes an event of each change of a table's rows, with the part of an SQL statement that repeats the change.
--
-- ev_type is `I`, `U`, `D`, or `R` for a truncate. ev_data is the rest of a statement that begins with
-- `insert into TABLE `, `update TABLE set ` or `delete from TABLE where `. ev_extra1 is the table, ev_extra2 the old row
-- urlencoded with the argument `backup`.
--
-- Arguments and errors: see trigger_begin.sql.
create or replace function pgq.sqltriga()
returns trigger
language plpgsql cost 1
as $$
declare
    old_values pg_catalog.text[];
    new_values pg_catalog.text[];
