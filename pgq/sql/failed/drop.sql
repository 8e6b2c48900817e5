-- Removes the store of failed events.
do $$
begin
    if to_regclass('pgq.failed_queue') is null then
        return;
    end if;
    drop trigger if exists failed_queue_cleanup on pgq.subscription;
    drop function if exists
        pgq.failed_queue_cleanup(),
        pgq.event_failed(bigint, bigint, text),
        pgq.failed_event_list(text, text),
        pgq.failed_event_list(text, text, integer, integer),
        pgq.failed_event_count(text, text),
        pgq.failed_event_retry(text, text, bigint),
        pgq.failed_event_delete(text, text, bigint),
        pgq._failed_event_owner(text, text);
    drop table pgq.failed_queue;
end
$$;
