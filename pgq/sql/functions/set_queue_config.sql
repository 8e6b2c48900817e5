-- Sets one of a queue's parameters, named without `queue_`. Returns 1. Fails when a name is null, the queue
-- or the parameter is unknown, or the value is invalid for the parameter.
create or replace function pgq.set_queue_config(x_queue_name text, x_param_name text, x_param_value text)
returns integer
language plpgsql security definer set row_security = off set search_path = pg_catalog, pgq, pg_temp
as $$
begin
    if num_nulls(x_queue_name, x_param_name) > 0 then
        raise exception 'Invalid NULL value';
    elsif not exists (select from pgq.queue q where q.queue_name = x_queue_name) then
        raise exception 'No such event queue';
    elsif x_param_name not in ('ticker_max_count', 'ticker_max_lag', 'ticker_idle_period', 'ticker_paused',
                               'rotation_period', 'external_ticker')
    then
        raise exception 'cannot change parameter "%s"', x_param_name;
    elsif x_param_value is null then
        raise exception 'query string argument of EXECUTE is null' using errcode = 'null_value_not_allowed';
    end if;
    execute format('update pgq.queue set %I = %L where queue_name = $1',
                   'queue_' || x_param_name, x_param_value)
    using x_queue_name;
    return 1;
end
$$;
