//! Roles that want their code to run with the rights of the ticker.

use super::*;

#[test]
fn objects_in_the_path_of_the_session_are_not_used() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        client.batch_execute(include_str!("trap.sql")).expect("created");
        let traces = "select count(*) from public.trace";
        let broken = "update pgq.queue set queue_extra_maint = '{pgq.maint_gone}'; \
             select pgq.set_queue_config('q', 'rotation_period', '0')";
        client.batch_execute(broken).expect("broken");
        for path in ["evil, pg_catalog", "evil, pg_temp, pg_catalog"] {
            let before = number(&mut client, TICKS);
            let mut session = Session::open(&database, &format!("set search_path = {path}"));
            let calls = session.call_until_warned(1) + session.call_until_warned(1);
            assert!(number(&mut client, TICKS) > before);
            let row = client
                .query_one("select coalesce(string_agg(distinct what, ','), '') from public.trace", &[]);
            assert_eq!(row.expect("readable").get::<_, String>(0), "", "{kind:?} {path}");
            assert!(session.messages().len() <= calls, "one warning for each call: {:?}", session.messages());
        }
        let mut session = Session::open(&database, "set search_path = evil, pg_catalog");
        session.client.query("select clock_timestamp() + '1 s'::pg_catalog.interval", &[]).expect("answers");
        assert_eq!(number(&mut client, traces), 2, "the trap works");
    }
}

#[test]
fn a_function_of_a_role_without_these_rights_is_not_called() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        let role = format!("hostile_{}", database.name());
        let plant = format!(
            "create role {role}; create schema authorization {role}; create schema pgq_node authorization {role}; \
             create table public.trace (what text); grant insert on public.trace to public; \
             create function {role}.run(text) returns int language sql as \
                 'insert into public.trace values (current_user) returning 0'; \
             create function public.run(text) returns int language sql as \
                 'insert into public.trace values (current_user) returning 0'; \
             create view pgq_node.node_info as select 'q'::text as queue_name, 'root'::text as node_type \
                 from (select {role}.run('')) run; \
             create function pgq_node.maint_watermark(text) returns int language sql as \
                 'insert into public.trace values (current_user) returning 0'; \
             alter function {role}.run(text) owner to {role}; alter function public.run(text) owner to {role}; \
             alter view pgq_node.node_info owner to {role}; alter function pgq_node.maint_watermark(text) owner to {role}; \
             grant usage on schema {role} to public; \
             update pgq.queue set queue_extra_maint = '{{{role}.run,run,public.run}}'"
        );
        client.batch_execute(&plant).expect("planted");
        let mut session = Session::open(&database, "");
        session.call_until_warned(3);
        let messages = session.messages();
        assert_eq!(number(&mut client, "select count(*) from public.trace"), 0, "{messages:?}");
        let is_skipped = |message: &String| message.contains("whose code would run with the rights");
        assert!(messages.iter().all(is_skipped), "{kind:?}: {messages:?}");
    }
}
