-- Resets privileges that default privileges have changed, before anything is granted.
select pgq._plain_rights('pgq', '^(delayed_(queue|mark|event).*|_(mark|deliver)_delayed|_delayed_.*|_deliver_one|_?later_.*|insert_event_at|scheduled_(event|time).*|_scheduled_.*|_(earliest|insert|set)_scheduled.*|(un)?schedule_event|maint_delayed_events|_?event_key_.*|insert_event_once|maint_event_keys|_(plain|queue)_rights)$');
revoke all on function pgq._plain_rights(text, text), pgq._queue_rights(text), pgq.later_cleanup(), pgq._delayed_txid()
    from public;
