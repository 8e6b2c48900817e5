//! The output of `\df pgq.*`, `\d pgq.*` and `\dp pgq.*`.

use std::collections::BTreeMap;

use super::differences;
use super::peer::{Peers, answer};
use crate::support;

/// Compares a query's rows, which begin with their name, and returns how many there are.
#[track_caller]
fn compare(peers: &mut Peers, select: &str) -> usize {
    let rows = |text: &str| -> BTreeMap<String, String> {
        text.lines()
            .map(|line| {
                let (name, rest) = line.split_once('|').expect("a name and more");
                (name.to_owned(), rest.to_owned())
            })
            .collect()
    };
    let extension = rows(&answer(&mut peers.extension.client, select));
    let mut own = rows(&answer(&mut peers.own.client, select));
    for (name, row) in &extension {
        assert_eq!(own.remove(name).as_ref(), Some(row), "{name}: own (left), extension (right)");
    }
    own.retain(|name, _| !differences::is_helper(name));
    assert!(own.is_empty(), "only in the own schema: {own:?}");
    extension.len()
}

#[test]
fn functions_are_the_same() {
    let mut peers = Peers::create();
    let select = "select p.oid::regprocedure, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid), provolatile, \
         prosecdef, proisstrict, proretset, procost, prorows, proparallel, prokind, proleakproof, \
         array(select acl::text from unnest(proacl) acl order by 1) \
         from pg_proc p where pronamespace = 'pgq'::regnamespace";
    assert!(compare(&mut peers, select) > 45);
}

#[test]
fn tables_columns_indexes_and_constraints_are_the_same() {
    let mut peers = Peers::create();
    peers.same("select pgq.create_queue('q')");
    // The own key of `retry_queue` has the time, too: the extension's leaves no room for two events of one id. Unique
    // indexes of positions would become slow under an old snapshot, as the extension's do (DESIGN.md, D125).
    // From PostgreSQL 17 on owners also have the privilege `m`, and from 18 on `not null` is a constraint.
    let relations = "select oid::regclass, relkind, relpersistence, reloptions, \
         array(select regexp_replace(acl::text, 'm[*]?/', '/') from unnest(relacl) acl order by 1), case oid when 'pgq.subscription'::regclass then 'd' else relreplident end, \
         (select reloptions from pg_class toast where toast.oid = pg_class.reltoastrelid), \
         array(select inhparent::regclass::text from pg_inherits where inhrelid = pg_class.oid) \
         from pg_class where relnamespace = 'pgq'::regnamespace \
         and relname not in ('subscription_pkey', 'subscription_batch_idx')";
    assert!(compare(&mut peers, relations) > 25);
    let columns = "select attrelid::regclass || '.' || attname, attnum, format_type(atttypid, atttypmod), attnotnull, attstorage, \
         attcollation, case when attrelid <> 'pgq.retry_queue'::regclass or attname <> 'ev_txid' then pg_get_expr(adbin, adrelid) end \
         from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum \
         where attrelid in (select oid from pg_class where relnamespace = 'pgq'::regnamespace) and attnum > 0 \
         and attrelid not in (select oid from pg_class where relname in ('rq_pkey', 'subscription_pkey', 'subscription_batch_idx'))";
    assert!(compare(&mut peers, columns) > 100);
    let constraints = "select conrelid::regclass || '.' || conname, contype, pg_get_constraintdef(oid) \
         from pg_constraint where connamespace = 'pgq'::regnamespace and contype <> 'n' \
         and conname not in ('rq_pkey', 'subscription_pkey', 'subscription_batch_idx')";
    assert!(compare(&mut peers, constraints) > 8);
    let indexes = "select indexrelid::regclass, pg_get_indexdef(indexrelid) from pg_index \
         where indrelid in (select oid from pg_class where relnamespace = 'pgq'::regnamespace) \
         and indexrelid not in (select oid from pg_class where relname in ('rq_pkey', 'subscription_pkey', 'subscription_batch_idx'))";
    assert!(compare(&mut peers, indexes) > 10);
    // The own sequences of event ids begin at 0 (DESIGN.md, D146).
    let sequences = "select seqrelid::regclass, format_type(seqtypid, null), seqstart, seqincrement, seqmax, \
         case when seqrelid::regclass::text like '%.event\\_%\\_id\\_seq' then greatest(seqmin, 1) else seqmin end, seqcache, seqcycle, \
         pg_get_serial_sequence('pgq.queue', 'queue_id') \
         from pg_sequence where seqrelid in (select oid from pg_class where relnamespace = 'pgq'::regnamespace)";
    assert!(compare(&mut peers, sequences) > 5);
    let schema = "select nspname, array(select acl::text from unnest(nspacl) acl order by 1) from pg_namespace where nspname = 'pgq'";
    assert_eq!(compare(&mut peers, schema), 1);
}

#[test]
fn functions_with_the_definers_rights_set_a_fixed_search_path() {
    let mut peers = Peers::create();
    let open = answer(
        &mut peers.own.client,
        "select oid::regprocedure from pg_proc where pronamespace = 'pgq'::regnamespace and prosecdef \
         and not coalesce(proconfig::text like '%search_path=pg_catalog%', false)",
    );
    assert_eq!(open, "");
}

#[test]
fn a_hostile_search_path_changes_nothing() {
    let mut peers = Peers::create();
    let role = format!("mallory_{}", support::unique());
    let client = &mut peers.own.client;
    client
        .batch_execute(&format!(
            "select pgq.create_queue('q'); create role {role}; grant pgq_writer to {role}; \
             create schema evil; grant usage on schema evil to public; \
             create function evil.boom(text, text) returns boolean language plpgsql as \
                 $$ begin raise exception 'hijacked'; end $$; \
             create operator evil.= (function = evil.boom, leftarg = text, rightarg = text); \
             create operator evil.<> (function = evil.boom, leftarg = text, rightarg = text); \
             create function evil.now() returns timestamptz language plpgsql as \
                 $$ begin raise exception 'hijacked'; end $$; \
             create function evil.txid_current() returns bigint language plpgsql as \
                 $$ begin raise exception 'hijacked'; end $$; \
             create function evil.concat(variadic \"any\") returns text language internal as 'text_concat'; \
             set role {role}; set search_path = evil, pg_catalog"
        ))
        .expect("prepared");
    assert_eq!(answer(client, "select pgq.insert_event('q', 'type', 'data')"), "1\n");
    client.batch_execute("set transaction_isolation = 'repeatable read'").ok();
    client.batch_execute("reset role; update pgq.queue set queue_per_tx_limit = 5").expect("limited");
    client.batch_execute(&format!("set role {role}")).expect("again");
    assert_eq!(answer(client, "select pgq.insert_event('q', 'type', 'data', null, null, null, null)"), "2\n");
}
