-- Resets privileges that default privileges have changed, before anything is granted.
select pgq._plain_rights('pgq', '^(failed_queue.*|event_failed|event_(failed|retry)_many|_?failed_event_.*|_tagged_events_.*|_open_batch|_(plain|queue)_rights)$');
revoke all on function pgq._plain_rights(text, text), pgq._queue_rights(text), pgq.failed_queue_cleanup()
    from public;
