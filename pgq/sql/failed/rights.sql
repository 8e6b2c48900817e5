-- Resets privileges that default privileges have changed, before anything is granted.
select pgq._plain_rights('pgq', '^(failed_queue.*|event_failed|event_(failed|retry)_many|_?failed_event_.*|_tagged_events_.*|_open_batch|run_ticker|_ticks_elsewhere|_due_ticks|_tick_due_queues|_return_due_retries|_maintenance_operations|_maintenance_role|_maintain|_(plain|queue)_rights)$');
revoke all on function pgq._plain_rights(text, text), pgq._queue_rights(text), pgq.failed_queue_cleanup()
    from public;
