//! Functions with their owner's rights give an ordinary role no further rights.

use pgq::schema::{self, Kind};
use postgres::{Client, NoTls};

use super::peer::answer;
use crate::support::queues::{self, UNUSUAL};
use crate::support::{Database, templates, unique, wait_for};

/// A database with queue `q`, and a role that may use it and more than most roles may.
struct Scene {
    database: Database,
    owner: Client,
    role: String,
}

impl Scene {
    fn create() -> Scene {
        let (database, mut owner) = templates::installed(Kind::Own, "rights");
        let role = format!("mallory_{}", unique());
        // A sequence remembers it, whether the caught statement fails or not.
        owner
            .batch_execute(&format!(
                "create role {role} login; grant pgq_reader, pgq_writer to {role}; \
                 create schema evil authorization {role}; \
                 create sequence public.as_self; create sequence public.as_other; \
                 grant usage on sequence public.as_self, public.as_other to public; \
                 create function public.caught() returns boolean language plpgsql \
                 set search_path = pg_catalog, pg_temp as $$ begin \
                     if current_user = '{role}' then perform nextval('public.as_self'); \
                     else perform nextval('public.as_other'); end if; \
                     return true; \
                 end $$"
            ))
            .expect("prepared");
        queues::create(&mut owner, "q");
        for name in ["c", "d"] {
            pgq::admin::register_consumer(&mut owner, "q", name).expect("registered");
        }
        queues::insert(&mut owner, "q", 1, 3);
        queues::tick(&mut owner, "q");
        Scene { database, owner, role }
    }

    /// Waits until the role's sessions have ended: a session that ends drops its temporary objects.
    fn wait_until_disconnected(&mut self) {
        let sessions = "select count(*) from pg_stat_activity where usename = $1";
        wait_for("the end of the role's sessions", || {
            self.owner.query_one(sessions, &[&self.role]).expect("counted").get::<_, i64>(0) == 0
        });
    }

    fn connect(&self) -> Client {
        let conninfo = self.database.conninfo().replace("user=postgres", &format!("user={}", self.role));
        Client::connect(&conninfo, NoTls).expect("connected")
    }

    /// Returns whether anything of the role's own was called with its rights, and with somebody else's.
    fn caught(&mut self) -> (bool, bool) {
        let select = "select a.is_called, b.is_called from public.as_self a, public.as_other b";
        let row = self.owner.query_one(select, &[]).expect("readable");
        (row.get(0), row.get(1))
    }
}

/// Functions that readers and writers may call; those with the caller's rights are first, so that the session has
/// compiled them before functions with the owner's rights call them.
const CALLS: &str = "select pgq.batch_event_sql(1)
    select pgq.batch_event_sql(99)
    select pgq.batch_event_tables(1)
    select pgq.find_tick_helper(1, 1, now(), 0, 1, '1 second')
    select pgq.next_batch('q', 'c')
    select pgq.next_batch_info('q', 'c')
    select pgq.get_batch_events(1)
    begin; select pgq.get_batch_cursor(1, 'cur', 10, 'true'); rollback
    select pgq.current_event_table('q')
    select pgq.quote_fqname('a.b')
    select pgq.seq_getval('pgq.event_1_id_seq')
    select pgq.get_queue_info()
    select pgq.insert_event('q', 'a', 'b')
    select pgq.insert_event('q', 'a', 'b', 'c', 'd', 'e', 'f')
    begin isolation level repeatable read; select pgq.insert_event('q', 'a', 'b'); commit
    select pgq.next_batch_custom('q', 'd', '0', 1, '1 second')
    select pgq.event_retry(1, 1, 0)
    select pgq.event_retry(1, 1, pg_catalog.now())
    select pgq.event_failed(1, 2, 'reason')
    select pgq.failed_event_list('q', 'c')
    select pgq.failed_event_count('q', 'c')
    select pgq.failed_event_retry('q', 'c', 2)
    select pgq.failed_event_delete('q', 'c', 2)
    select pgq.batch_retry(1, 0)
    select pgq.get_batch_info(1)
    select pgq.get_consumer_info()
    select pgq.force_tick('q')
    select pgq.finish_batch(1)
    select pgq.register_consumer('q', 'e')
    select pgq.register_consumer_at('q', 'e', 1)
    select pgq.unregister_consumer('q', 'e')
    select pgq_coop.register_subconsumer('q', 'f', 's')
    select pgq_coop.next_batch('q', 'f', 's')
    select pgq_coop.next_batch('q', 'f', 's', '1 hour')
    select pgq_coop.next_batch_custom('q', 'f', 's', '0', 1, '1 second')
    select pgq_coop.finish_batch(2)
    select pgq_coop.unregister_subconsumer('q', 'f', 's', 1)";

#[test]
fn hidden_types_operators_functions_and_tables_are_not_used_with_the_owners_rights() {
    let mut scene = Scene::create();
    for path in
        ["evil, pg_temp, pg_catalog", "pg_temp, evil, pg_catalog", "pg_catalog, evil", "\"$user\", public"]
    {
        let mut client = scene.connect();
        client.batch_execute(include_str!("hostile.sql")).expect("everything is hidden");
        client.batch_execute(&format!("set search_path = {path}")).expect("set");
        // Twice: a call that fails while a type is hidden may work with another path.
        for _ in 0..2 {
            for call in CALLS.lines() {
                answer(&mut client, call);
                answer(&mut client, "rollback");
            }
        }
        drop(client);
        scene.wait_until_disconnected();
        scene
            .owner
            .batch_execute(&format!(
                "drop owned by {0}; grant pgq_reader, pgq_writer to {0}; \
            create schema evil authorization {0}",
                scene.role
            ))
            .expect("cleared");
        assert_eq!(scene.caught(), (true, false), "search path {path}");
    }
}

/// The same calls with nothing hidden do something, so that the test above has something to catch.
#[test]
fn a_reader_and_writer_may_call_all_of_that() {
    let scene = Scene::create();
    let mut client = scene.connect();
    for call in CALLS.lines() {
        let result = answer(&mut client, call);
        assert!(!result.starts_with("42501"), "{call}: {result}");
        answer(&mut client, "rollback");
    }
}

/// Each function with its owner's rights begins with a search path in which only its owner and superusers can create.
#[test]
fn functions_with_the_owners_rights_set_a_search_path_of_the_owner() {
    let mut scene = Scene::create();
    let paths = answer(
        &mut scene.owner,
        "select distinct array(select setting from unnest(proconfig) setting where setting ~ 'path') from pg_proc join pg_namespace n on n.oid = pronamespace \
         where nspname like 'pgq%' and prosecdef order by 1",
    );
    let expected = "{\"search_path=pg_catalog, pg_temp\"}\n{\"search_path=pg_catalog, pgq, pg_temp\"}\n";
    assert_eq!(paths, expected);
}

/// A function that a session compiles under its own search path keeps the types that it found there.
#[test]
fn functions_that_set_no_path_name_their_types_in_full() {
    let mut scene = Scene::create();
    let functions = scene
        .owner
        .query(
            "select pg_proc.oid::regprocedure::text, prosrc from pg_proc join pg_language l on l.oid = prolang \
             where pronamespace in ('pgq'::regnamespace, 'pgq_coop'::regnamespace) and lanname = 'plpgsql' \
             and proconfig is null and has_function_privilege('pgq_reader', pg_proc.oid, 'execute') order by 1",
            &[],
        )
        .expect("readable");
    assert!(functions.len() > 10);
    for function in functions {
        let (name, source): (String, String) = (function.get(0), function.get(1));
        let Some((_, rest)) = source.split_once("declare\n") else { continue };
        let declared = rest.split("\nbegin\n").next().expect("declarations");
        for hidden in [" text", " record", " name", " regclass", " regtype", " timestamptz", " oid", " json"]
        {
            assert!(!declared.contains(hidden) || name.contains("get_batch_cursor"), "{name}: {declared}");
        }
    }
}

#[test]
fn a_condition_on_a_batch_has_the_callers_rights() {
    let mut scene = Scene::create();
    let mut client = scene.connect();
    scene.owner.batch_execute("create table public.secret (s text)").expect("created");
    answer(&mut client, "select pgq.next_batch('q', 'c')");
    let condition = "select pgq.get_batch_cursor(1, 'cur', 1, 'exists (select from public.secret)')";
    assert_eq!(answer(&mut client, condition), "42501: permission denied for table secret");
    answer(&mut client, "begin; select pgq.get_batch_cursor(1, 'cur', 1, 'public.caught()'); commit");
    assert_eq!(scene.caught(), (true, false));
    let injected = answer(&mut client, "select pgq.get_batch_cursor(1, 'a\" cursor for select 1; --', 1)");
    assert!(!injected.starts_with("42601"), "{injected}");
}

/// Any role that may create schemas could create `pgq_node` or `londiste`, and the maintenance would call it.
#[test]
fn maintenance_calls_no_foreign_functions() {
    let mut scene = Scene::create();
    scene
        .owner
        .batch_execute(&format!("grant create on database {} to {}", scene.database.name(), scene.role))
        .expect("granted");
    scene
        .connect()
        .batch_execute(
            "create schema pgq_node; create schema londiste; \
             create view pgq_node.node_info as select 'q' as queue_name, 'root' as node_type where public.caught(); \
             create function pgq_node.maint_watermark(text) returns integer language sql as 'select 1'; \
             create view londiste.seq_info as select 'q' as queue_name, true as local where public.caught(); \
             create function londiste.root_check_seqs(text) returns integer language sql as 'select 1'; \
             create function londiste.periodic_maintenance() returns integer language sql as 'select 1'; \
             grant usage on schema pgq_node, londiste to public; \
             grant select on pgq_node.node_info, londiste.seq_info to public",
        )
        .expect("made up");
    let operations = "select func_name from pgq.maint_operations() where func_name !~ '^(pgq\\.|vacuum)'";
    assert_eq!(answer(&mut scene.owner, operations), "");
    assert!(!scene.caught().1);
    scene
        .owner
        .batch_execute("alter schema pgq_node owner to postgres; alter schema londiste owner to postgres")
        .expect("trusted");
    let expected = "pgq_node.maint_watermark\nlondiste.root_check_seqs\nlondiste.periodic_maintenance\n";
    assert_eq!(answer(&mut scene.owner, operations), expected);
}

#[test]
fn nothing_is_installed_into_a_foreign_schema() {
    let database = Database::create("rights");
    let mut owner = database.client();
    let role = format!("mallory_{}", unique());
    owner
        .batch_execute(&format!("create role {role}; create schema pgq authorization {role}"))
        .expect("created");
    for comment in ["null", "'PgQ in SQL, release 1, 0123456789abcdef'"] {
        owner.batch_execute(&format!("comment on schema pgq is {comment}")).expect("commented");
        let error = schema::install_as(&mut owner, Some(Kind::Own)).expect_err("refused");
        let mut text = String::new();
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = cause {
            text += &error.to_string();
            cause = error.source();
        }
        assert!(text.contains(&format!("schema pgq belongs to role {role}")), "{text}");
    }
}

const UNUSUAL_NAMES: [&str; 8] =
    [UNUSUAL, "pgq.queue", "\"", "'", "Upper Case", "a.b.c", "%s$1\\", "x'); drop table pgq.tick; --"];

/// Takes a queue and a consumer of one name through every function.
fn use_name(client: &mut Client, name: &str) {
    queues::create(client, name);
    let mut row =
        |sql: &str| client.query_one(sql, &[&name]).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    row("select pgq.register_consumer($1, $1)");
    row("select pgq.insert_event($1, $1, $1)");
    row("select pgq.ticker($1)");
    let batch: i64 = row("select pgq.next_batch($1, $1)").get(0);
    let info = row("select queue_name, consumer_name from pgq.get_batch_info(pgq.next_batch($1, $1))");
    assert_eq!((info.get::<_, String>(0), info.get::<_, String>(1)), (name.into(), name.into()));
    let event = row("select ev_id, ev_type, ev_data from pgq.get_batch_events(pgq.next_batch($1, $1))");
    assert_eq!((event.get::<_, String>(1), event.get::<_, String>(2)), (name.into(), name.into()));
    let read = row("select count(*) from pgq.get_batch_cursor(pgq.next_batch($1, $1), $1 || 'x', 10)");
    assert_eq!(read.get::<_, i64>(0), 1);
    row(
        "select pgq.event_retry(pgq.next_batch($1, $1), ev_id, 0), pgq.event_failed(pgq.next_batch($1, $1), ev_id, $1) \
             from pgq.get_batch_events(pgq.next_batch($1, $1))",
    );
    row("select pgq.failed_event_retry($1, $1, ev_id) from pgq.failed_event_list($1, $1)");
    assert_eq!(row("select pgq.finish_batch(pgq.next_batch($1, $1))").get::<_, i32>(0), 1);
    assert_eq!(row("select pgq.maint_retry_events(), $1::text").get::<_, i32>(0), 1);
    row("select pgq.force_tick($1), pgq.maint_rotate_tables_step1($1), pgq.maint_rotate_tables_step2()");
    row(
        "select pgq.set_queue_config($1, 'rotation_period', '1 day'), pgq.grant_perms($1), pgq.tune_storage($1)",
    );
    row("select pgq_coop.register_subconsumer($1, $1, $1)");
    row("select pgq_coop.next_batch($1, $1, $1)");
    row("select pgq_coop.unregister_subconsumer($1, $1, $1, 1)");
    assert_eq!(row("select count(*) from pgq.get_queue_info($1)").get::<_, i64>(0), 1);
    assert_eq!(row("select count(*) from pgq.get_consumer_info($1, $1)").get::<_, i64>(0), 1);
    assert!(batch > 0);
}

#[test]
fn unusual_and_long_names_of_queues_and_consumers_work_throughout() {
    let long = "ü".repeat(200);
    let names = UNUSUAL_NAMES.into_iter().chain([long.as_str()]);
    let (_database, mut client) = templates::installed(Kind::Own, "rights");
    names.clone().for_each(|name| use_name(&mut client, name));
    for name in names {
        client.query_one("select pgq.drop_queue($1, true)", &[&name]).expect("dropped");
    }
    assert_eq!(answer(&mut client, "select count(*) from pgq.queue"), "0\n");
    assert_eq!(answer(&mut client, "select count(*) from pgq.subscription"), "0\n");
}
