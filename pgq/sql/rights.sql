-- Resets privileges that default privileges have changed, before anything is granted.
select pgq._plain_rights('pgq', '');
