//! Foreign objects in the schemas, or on their tables, are named before they are removed.

use pgq::schema::{self, Kind};

use super::dependents::pgqadm;
use crate::support::{queues, templates};

/// Each statement, and the name of the object that it creates.
const FOREIGN: [(&str, &str); 17] = [
    ("create function pgq.mine(int) returns int language sql as 'select $1'", "function pgq.mine(integer)"),
    ("create procedure pgq.work() language sql as 'select 1'", "procedure pgq.work()"),
    ("create aggregate pgq.total (int) (sfunc = int4pl, stype = int)", "aggregate pgq.total(integer)"),
    ("create type pgq.pair as (a int)", "type pgq.pair"),
    ("create type pgq.color as enum ('red')", "type pgq.color"),
    ("create domain pgq.small as int", "type pgq.small"),
    ("create sequence pgq.numbers", "sequence pgq.numbers"),
    ("create collation pgq.plain (locale = 'C')", "collation pgq.plain"),
    ("create statistics pgq.two on tick_id, tick_queue from pgq.tick", "statistics object pgq.two"),
    ("create index by_time on pgq.tick (tick_time)", "index pgq.by_time"),
    (
        "create trigger same before update on pgq.queue for each row \
             execute function suppress_redundant_updates_trigger()",
        "trigger same on pgq.queue",
    ),
    ("alter table pgq.queue add column note text", "table column pgq.queue.note"),
    (
        "alter table pgq.subscription add constraint positive check (sub_id > 0)",
        "table constraint positive on pgq.subscription",
    ),
    ("create policy everything on pgq.queue using (true)", "policy everything on pgq.queue"),
    ("create rule note as on insert to pgq.consumer do also select 1", "rule note on pgq.consumer"),
    ("create function pgq_coop.mine() returns int language sql as 'select 1'", "function pgq_coop.mine()"),
    (
        "create table users (id int); create function pgq.make() returns trigger language plpgsql \
             as 'begin return new; end'; \
             create trigger made before insert on users for each row execute function pgq.make()",
        "function pgq.make()",
    ),
];

#[test]
fn contents_of_the_schemas_are_named() {
    for kind in [Kind::Own, Kind::Extension] {
        let (database, mut client) = templates::installed(kind, "foreign");
        queues::create(&mut client, "q");
        let mut expected: Vec<&str> = FOREIGN.iter().map(|(_, name)| *name).collect();
        for (statement, _) in FOREIGN {
            client.batch_execute(statement).expect(statement);
        }
        expected.push("trigger made on public.users");
        expected.sort_unstable();
        let contents = schema::contents(&mut client).expect("answers").expect("installed");
        let mut found: Vec<&str> = contents.dependents.iter().map(String::as_str).collect();
        found.sort_unstable();
        // An own `pgq_coop` is removed too, also next to the extension.
        assert_eq!(found, expected, "{kind}");
        let (status, log) = pgqadm(&database, &["uninstall", "pgq"]);
        assert!(status == Some(2) && FOREIGN.iter().all(|(_, name)| log.contains(name)), "{log}");
        let (status, log) = pgqadm(&database, &["uninstall", "pgq", "--force"]);
        assert!(status == Some(0) && FOREIGN.iter().all(|(_, name)| log.contains(name)), "{log}");
    }
}

#[test]
fn contents_of_pgq_ext_are_named() {
    let (database, mut client) = templates::recording("foreign");
    client
        .batch_execute(
            "create function pgq_ext.mine() returns int language sql as 'select 1'; \
             alter table pgq_ext.completed_tick add column note text",
        )
        .expect("made");
    let found = schema::dependents(&mut client, &["pgq_ext"]).expect("answers");
    assert_eq!(found, ["function pgq_ext.mine()", "table column pgq_ext.completed_tick.note"]);
    let (status, log) = pgqadm(&database, &["uninstall", "pgq_ext"]);
    assert!(status == Some(2) && found.iter().all(|name| log.contains(name)), "{log}");
}
