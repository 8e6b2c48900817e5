//! Event triggers whose tables are found by way of the database's search path.

use pgq::schema::Kind;
use postgres::Client;

use crate::support::{Database, queues};

/// Creates a database with such a trigger, and a role whose default privileges give others a right.
fn prepare(kind: Kind) -> (Database, Client) {
    let database = Database::create_for(kind, "trigger_paths");
    let mut client = database.client();
    client
        .batch_execute(&format!(
            "create schema audit; create table audit.ddl_log (tag text); \
             create function audit.log_ddl() returns event_trigger language plpgsql as \
                 $$ begin insert into ddl_log values (tg_tag); end $$; \
             alter database {} set search_path = audit",
            database.name()
        ))
        .expect("prepared");
    (database, client)
}

fn watch(client: &mut Client) {
    client
        .batch_execute(
            "create event trigger log_end on ddl_command_end execute function audit.log_ddl(); \
             set search_path = pg_catalog",
        )
        .expect("created");
}

fn count(client: &mut Client, tag: &str) -> i64 {
    client.query_one("select count(*) from audit.ddl_log where tag = $1", &[&tag]).expect("readable").get(0)
}

#[test]
fn an_old_record_of_positions_is_upgraded_with_them() {
    let (_database, mut client) = prepare(Kind::Own);
    pgq_ext::schema::install(&mut client).expect("installed");
    client
        .batch_execute(
            "alter table pgq_ext.completed_tick drop column subconsumer_id cascade; \
             alter table pgq_ext.completed_tick add primary key (consumer_id)",
        )
        .expect("as in an old release");
    watch(&mut client);
    let upgraded = client.query_one("select pgq_ext.upgrade_schema()", &[]).expect("upgraded");
    assert_eq!(upgraded.get::<_, i32>(0), 1);
    assert_eq!(count(&mut client, "ALTER TABLE"), 2);
}

#[test]
fn rights_beside_default_privileges_are_plain_with_them() {
    for kind in [Kind::Own, Kind::Extension] {
        let (_database, mut client) = prepare(kind);
        queues::install_as(&mut client, kind);
        client
            .batch_execute("alter default privileges in schema pgq grant select on tables to public")
            .expect("granted");
        watch(&mut client);
        pgq::admin::create_queue(&mut client, "q").expect("created");
        let sql = "select has_table_privilege('pg_monitor', 'pgq.event_1_0', 'select')";
        assert!(!client.query_one(sql, &[]).expect("readable").get::<_, bool>(0), "{kind:?}");
        assert!(count(&mut client, "REVOKE") > 0, "{kind:?}");
    }
}
