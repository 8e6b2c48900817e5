-- Returns the facts about the trigger that fires, and its table.
--
-- A trigger puts the oid of its table and its arguments into the setting `pgq.trigger`, then evaluates an
-- expression of tg_relation() and this function. Both count as immutable, so that they are called when the
-- expression is planned: once in a session for each trigger, and again when its table or the search path has
-- changed. The functions that they call are volatile, so that these see the present table and not the one in the
-- snapshot of the statement. Fails when an argument is wrong.
create or replace function pgq.tg_facts()
returns pgq.tg_facts
language plpgsql immutable
as $$
declare
    setting constant pg_catalog.text := pg_catalog.current_setting('pgq.trigger');
    relation constant pg_catalog.oid := pg_catalog.split_part(setting, ' ', 1);
    facts pgq.tg_facts;
begin
    facts := pgq.tg_arguments(relation, pg_catalog.substring(setting, ' (.*)')::pg_catalog.text[]);
    -- The session's path applies to the trigger's expressions, so the function sets no search_path.
    for i in 1 .. coalesce(pg_catalog.cardinality(facts.queries), 0) loop
        facts.query_types[i] := pgq.tg_query_type(facts.queries[i], relation);
    end loop;
    return facts;
end
$$;
