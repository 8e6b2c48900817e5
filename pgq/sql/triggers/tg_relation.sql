-- Returns the table of the trigger that is fired.
--
-- The function is declared immutable only so that the plan of an expression in a trigger holds the table as a constant:
-- PostgreSQL makes such a plan anew when the table changes.
create or replace function pgq.tg_relation()
returns regclass
language sql immutable
as $$
    select pg_catalog.split_part(
        pg_catalog.current_setting('pgq.trigger'), ' ', 1)::pg_catalog.oid::pg_catalog.regclass
$$;
