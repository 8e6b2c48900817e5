//! Default privileges that grant, or withhold, rights in a way that PgQ's documentation does not describe.

use pgq::schema::{self, Kind, SchemaChange};
use postgres::Client;

use super::Scene;
use crate::support::{Database, queues};

/// The rights of everything, as lines.
const RIGHTS: &str = "select kind || ' ' || name || ' ' || \
     array(select case grantee when 0 then 'public' else grantee::regrole::text end || ' ' || privilege_type \
         || case when is_grantable and grantee <> owner then ' with grant option' else '' end \
         from aclexplode(coalesce(acl, acldefault(plain, owner))) order by 1)::text \
     from (select 'relation', oid::regclass::text, relowner, relacl, \
             case relkind when 'S' then 's' else 'r' end::\"char\", relnamespace \
             from pg_class where relkind in ('r', 'S', 'v', 'm', 'p', 'f') \
         union all select 'function', oid::regprocedure::text, proowner, proacl, 'f', pronamespace from pg_proc \
         union all select 'schema', nspname, nspowner, nspacl, 'n', oid from pg_namespace \
         union all select 'type', oid::regtype::text, typowner, typacl, 'T', typnamespace from pg_type \
             where typelem = 0 or typlen <> -1) object (kind, name, owner, acl, plain, namespace) \
     where namespace in (select oid from pg_namespace where nspname in ('pgq', 'pgq_coop', 'pgq_ext')) \
     order by 1";

fn rights(client: &mut Client) -> Vec<String> {
    client.query(RIGHTS, &[]).expect("readable").iter().map(|row| row.get(0)).collect()
}

/// Sets default privileges that give everything to a role, some of it in a schema only, and withhold the rights that
/// PostgreSQL gives to all roles.
fn make_hostile(client: &mut Client, role: &str) {
    client
        .batch_execute(&format!(
            "alter default privileges grant all on tables to {role} with grant option; \
             alter default privileges grant all on sequences to {role}; \
             alter default privileges grant all on functions to {role}; \
             alter default privileges grant all on types to {role}; \
             alter default privileges grant all on schemas to {role}; \
             alter default privileges grant insert, update, delete on tables to public, pgq_reader; \
             alter default privileges grant select on tables to pgq_reader; \
             alter default privileges grant usage on sequences to public; \
             alter default privileges revoke execute on functions from public; \
             alter default privileges revoke usage on types from public; \
             alter default privileges revoke insert on tables from postgres"
        ))
        .expect("set");
}

fn install(client: &mut Client, kind: Kind) {
    queues::install_as(client, kind);
    pgq_ext::schema::install(client).expect("installed");
    pgq::admin::create_queue(client, "q").expect("created");
}

#[track_caller]
fn assert_same(plain: &[String], other: &[String]) {
    assert_eq!(plain.len(), other.len());
    for (plain, other) in plain.iter().zip(other) {
        assert_eq!(plain, other, "without default privileges (left), with them (right)");
    }
}

#[test]
fn rights_are_the_same_whatever_default_privileges_say() {
    for kind in [Kind::Own, Kind::Extension] {
        let plain = Database::create_for(kind, "rights");
        let mut client = plain.client();
        install(&mut client, kind);
        let expected = rights(&mut client);
        assert!(expected.len() > 100, "{expected:?}");
        let mut scene = Scene::of(Database::create_for(kind, "rights"));
        make_hostile(&mut scene.boss, &scene.role);
        install(&mut scene.boss, kind);
        assert_same(&expected, &rights(&mut scene.boss));
        // Once more, over the existing schema, by its own function and by an administrator.
        install_again(&mut scene, kind);
        assert_same(&expected, &rights(&mut scene.boss));
    }
}

fn install_again(scene: &mut Scene, kind: Kind) {
    let report = schema::install_as(&mut scene.boss, None).expect("installed");
    assert_eq!((report.kind, report.change), (kind, SchemaChange::Unchanged));
    pgq_ext::schema::install(&mut scene.boss).expect("installed");
    scene.boss.batch_execute(&format!("grant pgq_admin to {0}; set role {0}", scene.role)).expect("granted");
    pgq::admin::create_queue(&mut scene.boss, "r").expect("created");
    scene.boss.batch_execute("reset role; select pgq.drop_queue('r')").expect("dropped");
}

/// A default for one schema can be set when there is one.
#[test]
fn default_privileges_in_the_schema_grant_nothing_either() {
    for kind in [Kind::Own, Kind::Extension] {
        let plain = Database::create_for(kind, "rights");
        let mut client = plain.client();
        install(&mut client, kind);
        pgq::admin::create_queue(&mut client, "r").expect("created");
        let expected = rights(&mut client);
        let mut scene = Scene::of(Database::create_for(kind, "rights"));
        install(&mut scene.boss, kind);
        scene
            .boss
            .batch_execute(&format!(
                "alter default privileges in schema pgq grant all on tables to {0}; \
                 alter default privileges in schema pgq grant all on sequences to {0}",
                scene.role
            ))
            .expect("set");
        pgq::admin::create_queue(&mut scene.boss, "r").expect("created");
        assert_same(&expected, &rights(&mut scene.boss));
    }
}

/// Grants rights to `ROLE`, some of them by default.
const LEAK: &str = "alter default privileges grant all on tables to ROLE; \
     alter default privileges grant all on functions to ROLE; \
     alter default privileges grant all on schemas to ROLE; \
     grant all on pgq.queue, pgq.tick, pgq.event_1, pgq.failed_queue to ROLE; \
     grant all on schema pgq, pgq_coop to ROLE; \
     grant execute on function pgq.create_queue(text), pgq_coop.finish_batch(bigint), \
         pgq.event_failed(bigint, bigint, text) to ROLE";

/// Rights that leaked by an older release, or by another program, are revoked; rights that an administrator has granted
/// stay.
#[test]
fn an_update_revokes_leaked_rights_and_keeps_granted_ones() {
    for kind in [Kind::Own, Kind::Extension] {
        let plain = Database::create_for(kind, "rights");
        let mut client = plain.client();
        install(&mut client, kind);
        let expected = rights(&mut client);
        let mut scene = Scene::of(Database::create_for(kind, "rights"));
        install(&mut scene.boss, kind);
        let role = scene.role.clone();
        scene.boss.batch_execute(&LEAK.replace("ROLE", &role)).expect("leaked");
        let report = schema::install_as(&mut scene.boss, None).expect("repaired");
        assert_eq!(report.change, SchemaChange::Updated);
        assert_same(&expected, &rights(&mut scene.boss));
        scene
            .boss
            .batch_execute(&format!(
                "alter default privileges revoke all on tables from {role}; \
                 alter default privileges revoke all on functions from {role}; \
                 alter default privileges revoke all on schemas from {role}; \
                 grant select on pgq.retry_queue to {role}; \
                 grant execute on function pgq.insert_event(text, text, text) to {role}; \
                 comment on table pgq.failed_queue is 'Failed events of PgQ, release 1, 0'"
            ))
            .expect("granted");
        schema::install_as(&mut scene.boss, None).expect("installed");
        let kept = format!(
            "select has_table_privilege('{role}', 'pgq.retry_queue', 'select') \
             and has_function_privilege('{role}', 'pgq.insert_event(text, text, text)', 'execute')"
        );
        assert!(scene.boss.query_one(&kept, &[]).expect("answers").get::<_, bool>(0));
    }
}

/// The way in that the leak was: another table for the events.
#[test]
fn no_queue_is_given_another_table_through_default_privileges() {
    let mut scene = Scene::create("rights");
    scene
        .boss
        .batch_execute(&format!(
            "alter default privileges grant select, insert, update, delete on tables to {}",
            scene.role
        ))
        .expect("set");
    install(&mut scene.boss, Kind::Own);
    let mut client = scene.client();
    client
        .batch_execute(
            "create table app.t_0 (like pgq.event_template); create trigger t before insert on app.t_0 \
             for each row execute function app.caught()",
        )
        .expect_err("the template is for those who read queues");
    let denied = client.batch_execute("update pgq.queue set queue_data_pfx = 'app.t'").expect_err("denied");
    assert_eq!(denied.code(), Some(&postgres::error::SqlState::INSUFFICIENT_PRIVILEGE));
    scene.boss.batch_execute("select pgq.insert_event('q', 'a', 'b')").expect("inserted");
    scene.assert_nothing_was_run();
}
