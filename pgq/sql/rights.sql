-- What default privileges have added or left out, before anything is granted.
select pgq._plain_rights('pgq', '');
