-- Returns what triggers and the functions that they call leave to the search path, unless they set it:
-- functions, operators, types in casts, and what looks up an operator by its name.
with functions as (
    select oid::regprocedure as name, prosrc as source
    from pg_proc
    where pronamespace = 'pgq'::regnamespace and proconfig is null
      and (proname like 'tg\_%' or prorettype = 'trigger'::regtype)),
stripped as (
    select name, regexp_replace(regexp_replace(
        source, $$--[^\n]*|[$]m[$].*?[$]m[$]|'(?:[^']|'')*'$$, '?', 'g'),
        'operator\(pg_catalog\.[^)]*\)|:=|<<\w+>>|\m(?:errcode|found_rows) =|, -1', ';', 'g') as body
    from functions)
select name, part
from stripped, regexp_matches(body, '(?:' || array_to_string(array[
    '[-+*/<>=~!@#%^&|]+',
    '(?<![.\w])(?!(?:array|any|coalesce|row|return|when|if|and|or)\M)[a-z_]\w*\s*\(',
    '::(?!(?:pg_catalog\.|boolean\M|numeric\M))\w+',
    '(?<=\mcollate )(?!pg_catalog\.)\S+',
    '\mcase\s+(?!when\M)\S+',
    '\m(?:nullif|distinct|between|like|ilike|similar)\M'], '|') || ')', 'g') as part
order by 1, 2
