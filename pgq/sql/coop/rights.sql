-- Resets privileges that default privileges have changed, before anything is granted.
select pgq._plain_rights('pgq_coop', '');
grant usage on schema pgq_coop to public;
