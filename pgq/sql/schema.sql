-- Creates the schema. Another role may have created it meanwhile, so the next step checks its owner.
create schema if not exists pgq;
