        -- The end of the body that the three trigger functions share: inserts the event.
        if facts.custom and not truncates then
            event := pgq.tg_customize(
                facts, array[kind, row_event, relation, old_event, null, null], subject);
            exit make when event is null;
            event_id := pgq.insert_event(
                tg_argv[0], event[1], event[2], event[3], event[4], event[5], event[6]);
        else
            event_id := pgq.insert_event(tg_argv[0], kind, row_event, relation, old_event, null, null);
        end if;
    end make;

    if facts.skip then
        return null;
    end if;
    return subject;
end
$$;
