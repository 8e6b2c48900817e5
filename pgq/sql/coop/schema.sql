-- Cooperative consumers: several subconsumers share the position of one consumer, and with it the work.
--
-- The consumer is a row of pgq.subscription as any other; its sub_last_tick is the start of the next batch.
-- Each subconsumer is a row too, named `consumer.subconsumer`, with the consumer's sub_id, so that an event
-- that one of them retries is redelivered to any of them. Without a batch its three tick and batch columns
-- are null, and rotation does not wait for it. With a batch they are those of a consumer with a batch, and
-- rotation waits for its sub_last_tick.

create schema if not exists pgq_coop;
