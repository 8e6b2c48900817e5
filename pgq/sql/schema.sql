-- The schema itself. One that somebody has made meanwhile is taken for ours here, so its owner is looked at next.
create schema if not exists pgq;
