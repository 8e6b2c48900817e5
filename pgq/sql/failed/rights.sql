-- What default privileges have added or left out, before anything is granted.
select pgq._plain_rights('pgq', '^(failed_queue.*|event_failed|event_(failed|retry)_many|_?failed_event_.*)$');
