//! Triggers of a table do not run code of an ordinary role with the owner's rights.

use pgq::schema::Kind;
use postgres::{Client, NoTls};

use super::peer::answer;
use crate::support::{Database, amount, queues, templates, unique};

const FUNCTIONS: [&str; 3] = ["jsontriga", "logutriga", "sqltriga"];

const ARGUMENTS: [&str; 5] = [
    "",
    ", 'ignore=n'",
    ", 'pkey=id,b', 'backup'",
    ", 'ev_extra4=s, n', 'when=b'",
    ", 'ignore=s,n,c1', 'ev_type=c1'",
];

/// A name, columns, and a number of further columns.
type Table = (&'static str, &'static str, u32);

/// Tables that differ in how their rows are taken apart, and written as JSON.
const TABLES: [Table; 4] = [
    ("small", "", 1),
    ("large", ", j jsonb, _pgq_ev_extra3 text default 'x'", 30),
    ("huge", ", f float default 0.5", 100),
    ("vast", ", j jsonb default '[1, \"x\"]'", 130),
];

const PATHS: [&str; 2] = ["evil, pg_temp, pg_catalog", "\"$user\", public"];

/// Returns the tables to change under a path: in the short form every other one.
fn tables(path: &str) -> Vec<Table> {
    let of_path = usize::from(path == PATHS[1]);
    let is_taken = |number: &usize| amount::pick(number % 2 == of_path, true);
    (0..TABLES.len()).filter(is_taken).map(|number| TABLES[number]).collect()
}

/// A trigger as anybody would write it.
const CARELESS: &str = "create function careless() returns trigger language plpgsql as $$ \
     declare message text := 'x'; begin message := message || 'y'; return null; end $$";

/// Makes every kind of change, by names in full and without an operator.
const CHANGE: &str = "insert into public.TABLE (id, p, s, n) values (8, 2, 'a b', 1), (9, 2, 'ü:\"\\,()', null); \
     update public.TABLE set s = 'c', n = 1.0, c1 = '!'; update public.TABLE set n = 2.5; \
     update public.TABLE set s = null; delete from public.TABLE; truncate public.TABLE";

/// A database with tables and triggers, and a role that may change the tables and has a schema of its own.
struct Scene {
    database: Database,
    owner: Client,
    role: String,
    path: &'static str,
}

impl Scene {
    /// Creates the tables of a path and `triggers`, in which `TABLE` stands for each table.
    fn create(triggers: &str, path: &'static str) -> Scene {
        let (database, mut owner) = templates::installed(Kind::Own, "rights");
        queues::create(&mut owner, "q");
        let role = format!("mallory_{}", unique());
        owner
            .batch_execute(&format!(
                "create role {role} login; grant pgq_reader, pgq_writer to {role}; \
                 create schema evil authorization {role}; \
                 grant usage on schema evil to public; \
                 create sequence as_other; grant usage on sequence as_other to public; \
                 create function caught() returns boolean language plpgsql \
                 set search_path = pg_catalog, pg_temp as $$ begin \
                     if current_user <> '{role}' then perform nextval('public.as_other'); end if; return true; \
                 end $$; \
                 create table parent (id int primary key); grant all on parent to {role}; {CARELESS}"
            ))
            .expect("prepared");
        let mut scene = Scene { database, owner, role, path };
        for (name, columns, count) in tables(path) {
            scene.create_table(name, columns, count);
            scene.owner.batch_execute(&triggers.replace("TABLE", name)).expect("created");
        }
        scene
    }

    fn create_table(&mut self, name: &str, columns: &str, count: u32) {
        let rest: String = (1..=count).map(|number| format!(", c{number} text")).collect();
        let change = CHANGE.replace("TABLE", name);
        self.owner
            .batch_execute(&format!(
                "create table {name} (id int primary key, \
                     p int references parent on delete cascade on update cascade, \
                     s text, n numeric, b boolean default true{columns}{rest}); \
                 grant all on {name} to {role}; \
                 create function change_{name}() returns void language sql security definer as $${change}$$; \
                 create function change_{name}_safely() returns void language sql security definer \
                 set search_path = pg_catalog, pg_temp as $${change}$$",
                role = self.role
            ))
            .expect("created");
    }

    /// Changes all tables as the role, which hides all that it can, and in ways that give others' rights to the
    /// triggers. Returns whether the role's own code was called with such rights.
    fn is_caught(&mut self) -> bool {
        self.owner
            .batch_execute("truncate parent cascade; insert into parent values (1), (2)")
            .expect("filled");
        let conninfo = self.database.conninfo().replace("user=postgres", &format!("user={}", self.role));
        let mut client = Client::connect(&conninfo, NoTls).expect("connected");
        client.batch_execute(include_str!("hostile.sql")).expect("everything is hidden");
        client.batch_execute(&format!("set search_path = {}", self.path)).expect("set");
        for (table, ..) in tables(self.path) {
            let domain = "create domain pg_temp.TABLE as public.TABLE check (pg_temp.caught(value))";
            client.batch_execute(&domain.replace("TABLE", table)).expect("the row is hidden");
            let own = CHANGE.replace("TABLE", table);
            for statement in [
                &own,
                &format!("select public.change_{table}_safely()"),
                &format!("select public.change_{table}()"),
                &format!("insert into public.{table} (id, p, s) values (1, 1, 'x'), (2, 2, null)"),
            ] {
                client.batch_execute(statement).unwrap_or_else(|error| panic!("{statement}: {error:?}"));
            }
        }
        let cascades = "update public.parent set id = 3 where id operator(pg_catalog.=) 2; \
                        delete from public.parent";
        client.batch_execute(cascades).expect("cascaded");
        self.owner.query_one("select is_called from as_other", &[]).expect("readable").get(0)
    }
}

fn triggers() -> String {
    let mut triggers = String::new();
    for function in FUNCTIONS {
        for (number, arguments) in ARGUMENTS.iter().enumerate() {
            for moment in ["before", "after"] {
                triggers += &format!(
                    "create trigger {function}_{moment}_{number} {moment} insert or update or delete on TABLE \
                     for each row execute function pgq.{function}('q'{arguments}); "
                );
            }
        }
        triggers += &format!(
            "create trigger {function}_truncate before truncate on TABLE execute function pgq.{function}('q'); "
        );
    }
    triggers
}

#[test]
fn triggers_use_nothing_of_the_callers_with_the_owners_rights() {
    for path in PATHS {
        let mut scene = Scene::create(&triggers(), path);
        assert!(!scene.is_caught(), "search path {path}");
        let events = scene.owner.query_one("select count(*) from pgq.event_1", &[]).expect("readable");
        assert!(events.get::<_, i64>(0) > 1000);
    }
}

/// The same with a trigger that does, so that the test above has something to catch.
#[test]
fn a_careless_trigger_is_caught() {
    let careless = "create trigger careless after insert or update or delete on TABLE \
                    for each row execute function careless()";
    for path in PATHS {
        assert!(Scene::create(careless, path).is_caught(), "search path {path}");
    }
}

/// The text is searched for the parts that no row of the tests reaches.
#[test]
fn triggers_that_set_no_path_name_everything_in_full() {
    let (_database, mut owner) = templates::installed(Kind::Own, "rights");
    let search = include_str!("unqualified.sql");
    assert_eq!(answer(&mut owner, search), "");
    owner.batch_execute(&CARELESS.replace("careless", "pgq.careless")).expect("created");
    assert_eq!(answer(&mut owner, search), "pgq.careless()|{||}\n");
}
