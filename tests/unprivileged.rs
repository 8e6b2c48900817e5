//! The rights of a role that may connect and nothing else.

use pgq::schema::Kind;
use pgq::{Batch, Settings, Subscription};
use pgq_ext::Tracker;
use postgres::{Client, NoTls};

use crate::support::programs::{JOB, Pair, SOURCE_QUEUE, TARGET_QUEUE, errors, succeed};
use crate::support::server::Server;
use crate::support::{Database, queues, templates, unique};

/// Functions that any role may call: they only read, and only data that any role may read.
const READING: [&str; 9] = [
    "pgq.get_consumer_info()",
    "pgq.get_consumer_info(text)",
    "pgq.get_consumer_info(text,text)",
    "pgq.get_queue_info()",
    "pgq.get_queue_info(text)",
    "pgq.quote_fqname(text)",
    "pgq.seq_getval(text)",
    "pgq.version()",
    "pgq_coop.version()",
];

/// Returns a role that may connect and nothing else.
fn unprivileged(client: &mut Client) -> String {
    let role = format!("unprivileged_{}", unique());
    client.batch_execute(&format!("create role {role} login")).expect("the role is new");
    role
}

/// Returns the functions of all schemas of this project that a role may call.
fn callable(client: &mut Client, role: &str) -> Vec<String> {
    let functions = "select format('%I.%I(%s)', nspname, proname, array_to_string(array( \
             select format_type(type, null) from unnest(proargtypes::oid[]) with ordinality arg (type, place) \
             order by place), ',')) \
         from pg_proc join pg_namespace nsp on nsp.oid = pronamespace \
         where nspname in ('pgq', 'pgq_coop', 'pgq_ext') and has_schema_privilege($1, nsp.oid, 'usage') \
             and has_function_privilege($1, pg_proc.oid, 'execute') order by 1";
    let rows = client.query(functions, &[&role]).expect("readable");
    rows.iter().map(|row| row.get(0)).collect()
}

fn database(kind: Kind) -> (Database, Client) {
    let (database, client) = templates::installed_whole(kind, "unprivileged");
    (database, client)
}

/// Returns the functions that a role may call beyond those that read. Helpers of triggers have the caller's rights.
fn surplus(client: &mut Client, role: &str) -> Vec<String> {
    let definers = "select 'pgq.' || proname from pg_proc \
                    where pronamespace = 'pgq'::regnamespace and prosecdef and starts_with(proname, 'tg_')";
    assert!(client.query(definers, &[]).expect("readable").is_empty());
    let mut found = callable(client, role);
    found.retain(|name| !READING.contains(&&**name) && !name.starts_with("pgq.tg_"));
    found
}

const NOTHING: Vec<String> = Vec::new();

#[test]
fn an_ordinary_role_may_call_only_functions_that_read() {
    for kind in [Kind::Own, Kind::Extension] {
        let (_database, mut client) = database(kind);
        let role = unprivileged(&mut client);
        assert_eq!(surplus(&mut client, &role), NOTHING, "{kind:?}");
        let tables = "select count(*) from pg_class join pg_namespace nsp on nsp.oid = relnamespace \
                      where nspname = 'pgq_ext' and relkind = 'r' and has_table_privilege($1, pg_class.oid, \
                      'select, insert, update, delete, truncate, trigger')";
        assert_eq!(client.query_one(tables, &[&role]).expect("readable").get::<_, i64>(0), 0);
        client.batch_execute(&format!("grant pgq_writer to {role}")).expect("granted");
        let found = callable(&mut client, &role);
        let recording = found.iter().filter(|name| name.starts_with("pgq_ext.")).count();
        assert_eq!(recording, 24, "{found:#?}");
    }
}

#[test]
fn an_older_schema_is_closed_by_installing() {
    let (_database, mut client) = database(Kind::Own);
    let role = unprivileged(&mut client);
    let open = "grant usage on schema pgq_ext to public; grant execute on all functions in schema pgq_ext to public; \
                grant select on all tables in schema pgq_ext to public";
    client.batch_execute(open).expect("as it was");
    assert!(!surplus(&mut client, &role).is_empty());
    assert!(pgq_ext::schema::install(&mut client).expect("installed"));
    assert_eq!(surplus(&mut client, &role), NOTHING);
}

#[test]
fn an_unprivileged_role_cannot_have_batches_skipped() {
    let pair = Pair::create();
    pair.register();
    let (mut source, mut target) = (pair.source_client(), pair.target_client());
    queues::insert(&mut source, SOURCE_QUEUE, 0, 1);
    let tick = queues::tick(&mut source, SOURCE_QUEUE);
    let role = unprivileged(&mut target);
    target.batch_execute(&format!("set role {role}")).expect("a member");
    for call in [
        &*format!("select pgq_ext.set_last_tick('{JOB}', {tick})"),
        "select pgq_ext.get_last_tick('x')",
        "select pgq_ext.set_batch_done('x', 1)",
        "select pgq_ext.upgrade_schema()",
        "table pgq_ext.completed_tick",
    ] {
        let error = target.batch_execute(call).expect_err("an unprivileged role");
        assert_eq!(error.code().map(|code| code.code()), Some("42501"), "{call}: {error:?}");
    }
    pair.drain();
    pair.assert_moved();
}

#[test]
fn an_unprivileged_role_cannot_use_the_trigger_of_the_failed_store() {
    for kind in [Kind::Own, Kind::Extension] {
        let (_database, mut client) = database(kind);
        let role = unprivileged(&mut client);
        client.batch_execute(&format!("set role {role}; create temp table t (sub_id int)")).expect("his own");
        let trigger = "create trigger t after delete on t referencing old table as gone \
                       for each statement execute function pgq.failed_queue_cleanup()";
        let error = client.batch_execute(trigger).expect_err("an unprivileged role");
        assert_eq!(error.code().map(|code| code.code()), Some("42501"), "{error:?}");
        // One that was made before.
        client.batch_execute(&format!("reset role; {trigger}")).expect("its owner may");
        let error = client.batch_execute("delete from t").expect_err("another table's");
        assert!(error.as_db_error().is_some_and(|error| error.message().contains("pgq.subscription alone")));
    }
}

#[test]
fn the_error_of_a_consumer_names_the_grant() {
    let pair = Pair::create();
    pair.register();
    let mut target = pair.target_client();
    let role = unprivileged(&mut target);
    let dst = format!("dst_db=dbname={} user={role}", pair.target);
    let output = pair.mover(&["--set", "loop_delay=0", "--set", &dst]).output().expect("starts");
    let said = errors(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("`grant pgq_writer to {role}`")), "{said}");
    let conninfo = pair.server().conninfo(&pair.target).replace("user=postgres", &format!("user={role}"));
    let mut client = Client::connect(&conninfo, NoTls).expect("connected");
    let error = Tracker::new(JOB).last_tick(&mut client).expect_err("an unprivileged role");
    assert!(error.to_string().contains("grant pgq_writer"), "{error:?}");
    target.batch_execute(&format!("grant pgq_writer to {role}")).expect("granted");
    assert_eq!(Tracker::new(JOB).last_tick(&mut client).expect("readable"), None);
    succeed(&mut pair.mover(&["--set", &dst, "--reset"]));
    let installed =
        pgq_ext::schema::install(&mut client).expect("left alone, since it is complete and another's");
    assert!(installed);
    assert_eq!(queues::count(&mut target, TARGET_QUEUE), 0);
}

#[test]
fn the_role_is_created_by_an_installer_that_may_create_roles() {
    let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
    server.create_database("a");
    server.create_database("b");
    let mut client = server.client("a");
    client
        .batch_execute("create role plain login; create role maker login createrole; grant create on database a to plain")
        .expect("created");
    let there = |client: &mut Client| {
        let role = "select count(*) = 1 from pg_roles where rolname = 'pgq_writer'";
        client.query_one(role, &[]).expect("readable").get::<_, bool>(0)
    };
    client.batch_execute("set role plain").expect("a member");
    pgq_ext::schema::install(&mut client).expect("installed");
    assert_eq!(Tracker::new("c").last_tick(&mut client).expect("the owner's"), None);
    client.batch_execute("reset role").expect("a superuser");
    assert!(!there(&mut client));
    let role = unprivileged(&mut client);
    assert_eq!(surplus_of_ext(&mut client, &role), 0);

    let mut other = server.client("b");
    other.batch_execute("grant create on database b to maker; set role maker").expect("a member");
    pgq_ext::schema::install(&mut other).expect("installed");
    assert!(there(&mut other));
    // From then on the first one has it, too.
    client.batch_execute("set role plain").expect("a member");
    pgq_ext::schema::install(&mut client).expect("installed");
    client.batch_execute(&format!("reset role; grant pgq_writer to {role}")).expect("granted");
    assert_eq!(surplus_of_ext(&mut client, &role), 24);
}

fn surplus_of_ext(client: &mut Client, role: &str) -> usize {
    let functions = "select count(*) from pg_proc where pronamespace = 'pgq_ext'::regnamespace \
                     and has_schema_privilege($1, 'pgq_ext', 'usage') and has_function_privilege($1, oid, 'execute')";
    let count: i64 = client.query_one(functions, &[&role]).expect("readable").get(0);
    usize::try_from(count).expect("a count")
}

/// An owner that may not create roles grants one by one the functions that clients of PgQ call.
#[test]
fn a_role_whose_rights_were_granted_one_by_one_consumes() {
    let (database, mut client) = database(Kind::Own);
    let role = unprivileged(&mut client);
    queues::create(&mut client, "single");
    client.batch_execute("select pgq.register_consumer('single', 'c')").expect("registered");
    queues::insert(&mut client, "single", 1, 3);
    queues::tick(&mut client, "single");
    let grant = format!(
        "grant usage on schema pgq to {role}; grant select on all tables in schema pgq to {role}; \
         grant execute on function pgq.next_batch_custom(text, text, interval, int4, interval), \
             pgq.find_tick_helper(int4, int8, timestamptz, int8, int8, interval), pgq.batch_event_sql(bigint), pgq.batch_event_tables(bigint), \
             pgq.finish_batch(bigint) to {role}"
    );
    client.batch_execute(&grant).expect("granted");
    let conninfo = database.conninfo().replace("user=postgres", &format!("user={role}"));
    let mut consumer = Client::connect(&conninfo, NoTls).expect("it may connect");
    let subscription = Subscription::new(Settings::new("single", "c"));
    let info = subscription.next_batch(&mut consumer).expect("it may").expect("a batch");
    let mut batch = Batch::open(&mut consumer, &subscription, info).expect("opened");
    let mut seen = 0;
    while batch.next_event().expect("readable").is_some() {
        seen += 1;
    }
    batch.finish().expect("finished");
    assert_eq!(seen, 3);
}
